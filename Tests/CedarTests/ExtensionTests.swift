import Testing

@testable import Cedar

@Suite struct ExtensionTests {
    @Test(arguments: [
        ("1.5", 15_000), ("-0.5", -5000), ("00001.2345", 12_345), ("922337203685477.5807", Int64.max),
        ("-922337203685477.5808", .min),
    ])
    func `a decimal is read exactly`(text: String, value: Int64) throws {
        #expect(try Value.Decimal(Text(text)).tenThousandths == value)
    }

    @Test(arguments: [
        "", "1", "1.", ".5", "1.23456", "+1.0", "1.2.3", "a.b", "-.5", " 1.0", "1.0 ", "１.0", "922337203685477.5808",
        "-922337203685477.5809", "99999999999999999999.0",
    ])
    func `what is no decimal is refused`(text: String) {
        #expect(throws: ExtensionError.self) { try Value.Decimal(Text(text)) }
    }

    @Test(arguments: [
        ("1970-01-01", 0), ("0000-01-01", -62_167_219_200_000), ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
        ("2024-02-29T12:34:56Z", 1_709_210_096_000), ("1969-12-31T23:59:59.999Z", -1),
        ("1970-01-01T00:00:00+0100", -3_600_000), ("1970-01-01T00:00:00.500-2359", 86_340_500),
    ])
    func `a moment is read to the millisecond`(text: String, value: Int64) throws {
        #expect(try Value.Datetime(Text(text)).milliseconds == value)
    }

    @Test(arguments: [
        "", "2024", "2024-1-1", "2024-13-01", "2024-00-01", "2024-01-32", "2023-02-29", "1900-02-29", "2024-01-01T",
        "2024-01-01T00:00:00", "2024-01-01T00:00Z", "2024-01-01T24:00:00Z", "2024-01-01T00:60:00Z",
        "2024-01-01T23:59:60Z", "2024-01-01T00:00:00.1Z", "2024-01-01T00:00:00.1234Z", "2024-01-01T00:00:00+2400",
        "2024-01-01T00:00:00+0060", "2024-01-01T00:00:00+01:00", "2024-01-01T00:00:00Zx", "2024-01-01t00:00:00Z",
        "-2024-01-01", "20240-01-01", " 2024-01-01",
    ])
    func `what is no moment is refused`(text: String) {
        #expect(throws: ExtensionError.self) { try Value.Datetime(Text(text)) }
    }

    @Test(arguments: [
        ("1d2h3m4s5ms", 93_784_005), ("-1h", -3_600_000), ("0ms", 0), ("00001d", 86_400_000), ("5m", 300_000),
        ("5ms", 5),
        ("9223372036854775807ms", Int64.max), ("-9223372036854775808ms", .min), ("106751991167d7h12m55s807ms", .max),
    ])
    func `a span is read exactly`(text: String, value: Int64) throws {
        #expect(try Value.Duration(Text(text)).milliseconds == value)
    }

    @Test(arguments: [
        "", "-", "1", "h", "1h1d", "1h1h", "1ms1s", "+1h", "1 h", "1.5h", "1w", "1H", "--1h", "9223372036854775808ms",
        "-9223372036854775809ms", "106751991167d7h12m55s808ms", "99999999999999999999d", "1h-1m",
    ])
    func `what is no span is refused`(text: String) {
        #expect(throws: ExtensionError.self) { try Value.Duration(Text(text)) }
    }

    @Test(arguments: [
        "0.0.0.0", "255.255.255.255/32", "10.0.0.1/0", "::", "::1", "1::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::",
        "::2:3:4:5:6:7:8", "ABCD:ef01::/128", "1111:2222:3333:4444:5555:6666:7777:8888/128",
    ])
    func `an address is read`(text: String) throws {
        let address = try Value.IPAddress(Text(text))
        #expect(try Value.IPAddress(Text("\(address)")) == address)
    }

    @Test(arguments: [
        "", "1.2.3", "1.2.3.4.5", "256.0.0.1", "01.2.3.4", "1.2.3.4/", "1.2.3.4/33", "1.2.3.4/032", "1.2.3.4/+1",
        "1.2.3.4/8/8", "1.2.3.4 ", "::ffff:1.2.3.4", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", ":::", ":1",
        "12345::",
        "g::", "::/129", "::/0128", "fe80::1%eth0", "[::1]", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8",
        "1111:2222:3333:4444:5555:6666:7777:8888/0128",
    ])
    func `what is no address is refused`(text: String) {
        #expect(throws: ExtensionError.self) { try Value.IPAddress(Text(text)) }
    }

    @Test(arguments: [
        "ip(\"10.0.0.1\") == ip(\"10.0.0.1/32\")", "ip(\"10.0.0.1/8\") != ip(\"10.0.0.0/8\")",
        "ip(\"10.1.2.3\").isInRange(ip(\"10.0.0.0/8\"))", "!ip(\"10.0.0.0/8\").isInRange(ip(\"10.1.2.3\"))",
        "ip(\"10.1.2.3/9\").isInRange(ip(\"10.255.0.0/8\"))", "!ip(\"11.0.0.0\").isInRange(ip(\"10.0.0.0/8\"))",
        "!ip(\"127.0.0.1\").isInRange(ip(\"::/0\"))", "ip(\"fd00::1\").isInRange(ip(\"::/0\"))",
        "ip(\"255.255.255.255\").isInRange(ip(\"0.0.0.0/0\"))", "ip(\"127.0.0.1\").isLoopback()",
        "!ip(\"127.0.0.1/7\").isLoopback()", "ip(\"::1\").isLoopback()", "!ip(\"::1/127\").isLoopback()",
        "ip(\"224.0.0.1/4\").isMulticast()", "!ip(\"224.0.0.1/3\").isMulticast()", "ip(\"ff02::1\").isMulticast()",
        "ip(\"::1\").isIpv6() && !ip(\"::1\").isIpv4()",
        "decimal(\"1.5\") == decimal(\"1.50\")", "decimal(\"1.5\").lessThan(decimal(\"1.51\"))",
        "decimal(\"-1.0\").lessThanOrEqual(decimal(\"-1.0\"))", "decimal(\"2.0\").greaterThan(decimal(\"1.0\"))",
        "decimal(\"2.0\").greaterThanOrEqual(decimal(\"2.0\"))",
        "datetime(\"1969-12-31T23:00:00Z\").toTime() == duration(\"23h\")",
        "datetime(\"1969-12-31T23:00:00Z\").toDate() == datetime(\"1969-12-31\")",
        "datetime(\"2024-01-01\").offset(duration(\"-1ms\")) == datetime(\"2023-12-31T23:59:59.999Z\")",
        "datetime(\"2024-01-02\").durationSince(datetime(\"2024-01-01\")) == duration(\"1d\")",
        "datetime(\"2024-01-01\") < datetime(\"2024-01-02\")", "duration(\"-1500ms\").toSeconds() == -1",
        "duration(\"1500ms\").toMinutes() == 0", "duration(\"49h\").toDays() == 2", "duration(\"90m\").toHours() == 1",
        "duration(\"1s\").toMilliseconds() == 1000",
        "datetime(\"1970-01-01\").offset(duration(\"-9223372036854775808ms\")).toTime() >= duration(\"0h\")",
    ])
    func `functions give what they say`(condition: String) throws {
        #expect(try Self.verdict(condition) == .holds)
    }

    @Test(arguments: [
        "datetime(\"2024-01-01\").offset(duration(\"9223372036854775807ms\")) == 1",
        "datetime(\"1970-01-01\").offset(duration(\"-9223372036854775808ms\")).toDate() == 1",
        "datetime(\"1969-01-01\").durationSince(datetime(\"1970-01-01\").offset(duration(\"9223372036854775807ms\"))) == 1",
        "ip(1) == 1", "decimal(\"1.0\").lessThan(1)", "1.isIpv4()", "duration(\"1h\").toTime() == 1",
        "\"1h\".toHours() == 1",
        "datetime(\"2024-01-01\").offset(1) == 1", "ip(\"::1\").isIpv4(1)",
    ])
    func `what is out of range or of another type is an error`(condition: String) throws {
        guard case .fails = try Self.verdict(condition) else { return #expect(Bool(false)) }
    }

    private static func verdict(_ condition: String) throws -> Verdict {
        let policies = try PolicySet(parsing: "permit(principal, action, resource) when { \(condition) };")
        let nobody = EntityUID(type: "A", id: "a")
        return Authorizer(policies: policies, entities: try Entities([])).verdict(
            of: policies.policies[0], on: Request(principal: nobody, action: nobody, resource: nobody))
    }
}
