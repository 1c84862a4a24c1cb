import Foundation
import Mesh
import Testing

@Suite struct Base64Tests {
    /// RFC 4648 §10.
    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ])
    func `the vectors of the standard hold`(plain: String, text: String) {
        #expect(encodeBase64(Array(plain.utf8)) == text)
        #expect(decodeBase64(text) == Array(plain.utf8))
    }

    @Test(arguments: [
        "Z", "Zg", "Zg=", "Zg===", "====", "=", "Zm9v=", "Zm 9v", "Zm9v\n", "Zm-_", "Zg==Zg==", "Zh==", "Zm9=", "Zm9vÄ",
    ])
    func `what is not canonical is refused`(text: String) {
        #expect(decodeBase64(text) == nil)
    }

    @Test(arguments: seeds)
    func `random bytes come back, and Foundation writes the same`(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for count in 0..<70 {
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            let text = encodeBase64(bytes)
            #expect(text == Data(bytes).base64EncodedString())
            #expect(decodeBase64(text) == bytes)
        }
    }

    @Test(arguments: seeds)
    func `random text is refused, or written back as it was`(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<100 {
            let text = String(
                (0..<4 * Int.random(in: 0..<4, using: &generator)).map { _ in
                    "Ab0+/=".randomElement(using: &generator) ?? "="
                })
            if let bytes = decodeBase64(text) { #expect(encodeBase64(bytes) == text) }
        }
    }
}

@Suite struct HexTests {
    @Test(arguments: [([], ""), ([0, 15, 16, 255], "000f10ff")] as [([UInt8], String)])
    func `hexadecimal digits and bytes are each other's`(value: [UInt8], text: String) {
        #expect(hex(value) == text)
        #expect(bytes(hex: text) == value)
        #expect(bytes(hex: text.uppercased()) == value)
    }

    @Test(arguments: ["0", "0g", "0x00", " 00", "é"])
    func `what is no hexadecimal is refused`(text: String) {
        #expect(bytes(hex: text) == nil)
    }
}

@Suite struct KeysTests {
    @Test(arguments: [0, 31, 33, 64])
    func `a key has 32 bytes`(count: Int) {
        let bytes = [UInt8](repeating: 1, count: count)
        #expect(WireGuardPublicKey(bytes: bytes) == nil)
        #expect(WireGuardPublicKey(base64: encodeBase64(bytes)) == nil)
        #expect(WireGuardPrivateKey(bytes: bytes) == nil)
    }

    @Test func `a private key never shows itself`() throws {
        let key = try #require(WireGuardPrivateKey(bytes: [UInt8](repeating: 0x5A, count: 32)))
        var dumped = ""
        dump(key, to: &dumped)
        for text in ["\(key)", String(reflecting: key), String(describing: Optional(key)), dumped] {
            #expect(!text.contains("90") && !text.lowercased().contains("5a"), "\(text)")
        }
    }

    @Test func `private keys are equal when all of their bytes are`() throws {
        let key = try #require(WireGuardPrivateKey(bytes: [UInt8](repeating: 1, count: 32)))
        let same = try #require(WireGuardPrivateKey(bytes: [UInt8](repeating: 1, count: 32)))
        let other = try #require(WireGuardPrivateKey(bytes: [UInt8](repeating: 1, count: 31) + [2]))
        #expect(key == same)
        #expect(key != other)
    }
}

@Suite struct TimestampTests {
    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00Z"), (-1, "1969-12-31T23:59:59Z"), (951_782_400_000, "2000-02-29T00:00:00Z"),
            (951_868_800_000, "2000-03-01T00:00:00Z"), (1_000_000_000_000, "2001-09-09T01:46:40Z"),
            (1_769_850_000_999, "2026-01-31T09:00:00Z"), (4_107_542_399_000, "2100-02-28T23:59:59Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"), (-62_135_596_800_000, "0001-01-01T00:00:00Z"),
        ] as [(Int64, String)])
    func `a moment is written as RFC 3339`(value: Int64, text: String) {
        #expect(Timestamp(rawValue: value).description == text)
    }

    @Test(arguments: seeds)
    func `the calendar is Foundation's`(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<50 {
            let seconds = Int64.random(in: -10_000_000_000...100_000_000_000, using: &generator)
            let date = Date(timeIntervalSince1970: TimeInterval(seconds))
            #expect(Timestamp(rawValue: seconds * 1000).description == date.formatted(.iso8601))
        }
    }

    @Test(arguments: [Int64.min, .max, 0])
    func `a hostile moment crashes nothing`(value: Int64) {
        let moment = Timestamp(rawValue: value)
        #expect(!moment.description.isEmpty)
        #expect(moment + .seconds(Int64.max / 2) >= moment)
        #expect(moment + .seconds(-Int64.max / 2) <= moment)
        #expect(moment - moment == .zero)
        #expect(Timestamp(rawValue: 0) - moment == .milliseconds(value == .min ? .max : -value))
    }

    @Test func `a span between moments is their distance`() {
        #expect(Timestamp(rawValue: 5000) - Timestamp(rawValue: 2500) == .milliseconds(2500))
        #expect(Timestamp(rawValue: 5000) + .seconds(2) == Timestamp(rawValue: 7000))
    }
}
