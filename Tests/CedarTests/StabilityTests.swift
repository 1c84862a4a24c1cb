import Testing

@testable import Cedar

@Suite struct StabilityTests {
    private static let day: Int64 = 86_400_000
    /// 2027-01-15T08:00:00Z
    private static let morning: Int64 = 1_800_000_000_000
    private static let midnight = morning - 8 * 3_600_000

    private static func request(at moment: Int64, isPartial: Bool = true) -> Request {
        let someone = EntityUID(type: "Agent", id: "a")
        return Request(
            principal: someone, action: someone, resource: someone,
            context: Context(
                ["now": .datetime(Value.Datetime(milliseconds: moment)), "n": .long(7)], isPartial: isPartial))
    }

    private static func authorizer(_ conditions: String...) throws -> Authorizer {
        let text = conditions.map { "permit(principal, action, resource) when { \($0) };" }.joined(separator: "\n")
        return Authorizer(policies: try PolicySet(parsing: text), entities: try Entities([]))
    }

    private static func until(_ condition: String, at moment: Int64 = morning) throws -> Int64? {
        try authorizer(condition).authorize(request(at: moment), in: .day).until?.milliseconds
    }

    @Test(arguments: [
        ("context.now.toTime() < duration(\"17h\")", 17), ("context.now.toTime() >= duration(\"9h\")", 9),
        ("context.now < datetime(\"2027-01-15T20:00:00Z\")", 20),
        ("context.now >= datetime(\"2027-01-16T10:00:00Z\")", 34),
        ("context.now.toTime().toHours() == 8", 9), ("[7, 8, 9].contains(context.now.toTime().toHours())", 10),
        ("context.now.toDate() == datetime(\"2027-01-15\")", 24),
        ("context.now.offset(duration(\"1h\")).toTime() < duration(\"12h\")", 11),
        ("context.now.durationSince(datetime(\"2027-01-15\")) < duration(\"600m\")", 10),
        ("context.now.durationSince(context.now.toDate()) <= duration(\"11h59m59s999ms\")", 12),
        ("if context.now.toTime() < duration(\"10h\") then true else context.n == 8", 10),
        ("context.now.toTime().toMinutes() * 2 - 60 < context.n * 60 + 600", 9),
        ("!(context.now.toTime() >= duration(\"9h\") && context.now.toTime() < duration(\"17h\"))", 9),
        ("1 + (if context.now.toTime() < duration(\"9h\") then 1 else 9223372036854775807) > 0", 9),
    ])
    func `an answer stands until it changes`(condition: String, hour: Int64) throws {
        #expect(try Self.until(condition) == Self.midnight + hour * 3_600_000)
    }

    @Test(arguments: [
        "true", "context.n == 7", "context.now >= datetime(\"2020-01-01\")", "context.now has x", "context.foo == 1",
        "context.now == context.now", "context.now.toTime() >= duration(\"0h\")", "false && context.now == 1",
        "context.now.toTime() < duration(\"9h\") && context.n == 8", "context.now < 1", "context.now == 1",
        "context has now",
        "context.now like \"a\"", "context.now.toTime() in principal",
    ])
    func `what time does not change stands for ever`(condition: String) throws {
        #expect(try Self.until(condition) == nil)
    }

    @Test func `a date years ahead is found at once`() throws {
        let end = try Value.Datetime("2040-05-06T07:08:09.010Z").milliseconds
        #expect(try Self.until("context.now < datetime(\"2040-05-06T07:08:09.010Z\")") == end)
    }

    @Test func `nothing is said of a request that tells no time`() throws {
        let someone = EntityUID(type: "Agent", id: "a")
        let request = Request(principal: someone, action: someone, resource: someone)
        #expect(try Self.authorizer("context.now < datetime(\"2027-01-01\")").authorize(request, in: .day).until == nil)
    }

    @Test func `a decision whose policies change stands only until they do`() throws {
        let authorizer = try Self.authorizer("context.now.toTime() < duration(\"10h\")", "context.n == 7")
        let stable = authorizer.authorize(Self.request(at: Self.morning), in: .day)
        #expect(stable.response.decision == .allow)
        #expect(stable.until?.milliseconds == Self.midnight + 10 * 3_600_000)
    }

    @Test(arguments: [Int64.min, .min + 1, -1, 0, .max - 1, .max])
    func `the ends of time are survived`(moment: Int64) throws {
        for condition in [
            "context.now.toDate() < context.now", "context.now.offset(duration(\"1d\")).toTime() < duration(\"1h\")",
            "context.now.durationSince(datetime(\"0000-01-01\")).toDays() * 86400000 > 5",
        ] {
            let authorizer = try Self.authorizer(condition)
            let stable = authorizer.authorize(Self.request(at: moment), in: .day)
            if let until = stable.until { #expect(until.milliseconds >= moment) }
        }
    }

    /// Soundness: random conditions, random moments before the end.
    @Test(arguments: 0..<100)
    func `before its end no answer changes`(seed: Int) throws {
        var random = RandomTimes(seed: UInt64(seed))
        for _ in 0..<4 {
            let conditions = (0..<Int.random(in: 1...3, using: &random.random)).map { _ in random.condition(depth: 3) }
            let text = conditions.enumerated().map {
                "\($0.offset == 1 ? "forbid" : "permit")(principal, action, resource) when { \($0.element) };"
            }
            let policies = try PolicySet(parsing: text.joined(separator: "\n"))
            let authorizer = Authorizer(policies: policies, entities: try Entities([]))
            let isPartial = Bool.random(using: &random.random)
            let start = random.moment()
            let stable = authorizer.authorize(Self.request(at: start, isPartial: isPartial), in: .day)
            if let until = stable.until { #expect(until.milliseconds > start) }
            let end = stable.until?.milliseconds ?? start + 4 * Self.day
            let last = end - 1
            let moments =
                [start, last, start + (last - start) / 2]
                + (0..<30).map { _ in
                    Int64.random(in: start...last, using: &random.random)
                }
            for moment in moments {
                let then = authorizer.authorize(Self.request(at: moment, isPartial: isPartial))
                #expect(
                    then.decision == stable.response.decision
                        && then.determining.map(\.id) == stable.response.determining.map(\.id)
                        && then.errors.map(\.policy) == stable.response.errors.map(\.policy),
                    "\(text) from \(start) until \(end) at \(moment)")
            }
        }
    }

    /// Precision: it is not soundness by saying nothing.
    @Test func `most answers stand longer than a minute`() throws {
        var random = RandomTimes(seed: 1)
        var long = 0
        for _ in 0..<100 {
            let authorizer = try Self.authorizer(random.condition(depth: 2))
            let start = random.moment()
            let stable = authorizer.authorize(Self.request(at: start), in: .day)
            if stable.until.map({ $0.milliseconds - start > 60_000 }) ?? true { long += 1 }
        }
        #expect(long > 85)
    }
}

/// Random conditions about the time, most of them of the right types.
private struct RandomTimes {
    var random: SeededGenerator

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    mutating func moment() -> Int64 {
        let noon: Int64 = 1_800_014_400_000
        return noon + Int64.random(in: -3 * 86_400_000...3 * 86_400_000, using: &random)
    }

    mutating func condition(depth: Int) -> String {
        guard depth > 0 else { return comparison(depth) }
        let next = depth - 1
        return switch Int.random(in: 0..<9, using: &random) {
        case 0, 1: "(\(condition(depth: next)) && \(condition(depth: next)))"
        case 2, 3: "(\(condition(depth: next)) || \(condition(depth: next)))"
        case 4: "!(\(condition(depth: next)))"
        case 5: "(if \(condition(depth: next)) then \(condition(depth: next)) else \(condition(depth: next)))"
        case 6: odd()
        default: comparison(depth)
        }
    }

    private mutating func odd() -> String {
        [
            "context.flow.port == 1", "context has now", "(context has flow)", "context == {now: context.now, n: 7}",
            "context.now", "context.n == 7", "{a: context.now.toTime()}.a < duration(\"9h\")",
            "{a: context.now} has a.b",
            "[context.now.toTime().toHours(), 3].contains(9)", "[9, 10].containsAny([context.now.toTime().toHours()])",
            "(if context.n == 7 then context else context).now.toTime() < duration(\"10h\")",
            "(if context.now.toTime() < duration(\"11h\") then 1 else \"a\") == 1",
            "(if context.now.toTime() < duration(\"11h\") then {b: 1} else {}) has b",
            "context.now.toTime().toHours() * 614891469123651720 > 0", "principal is Agent in [principal, context.now]",
        ].randomElement(using: &random)!
    }

    private mutating func comparison(_ depth: Int) -> String {
        let relation = ["<", "<=", ">", ">=", "==", "!="].randomElement(using: &random)!
        return switch Int.random(in: 0..<3, using: &random) {
        case 0: "\(moment(depth)) \(relation) \(moment(depth))"
        case 1: "\(span(depth)) \(relation) \(span(depth))"
        default: "\(number(depth)) \(relation) \(number(depth))"
        }
    }

    private mutating func moment(_ depth: Int) -> String {
        guard depth > 0 else { return Bool.random(using: &random) ? "context.now" : literal() }
        return switch Int.random(in: 0..<5, using: &random) {
        case 0: literal()
        case 1: "\(moment(depth - 1)).offset(\(span(depth - 1)))"
        case 2: "\(moment(depth - 1)).toDate()"
        default: "context.now"
        }
    }

    private mutating func literal() -> String {
        let day = Int.random(in: 11...19, using: &random)
        let hour = Int.random(in: 0...23, using: &random)
        return Bool.random(using: &random)
            ? "datetime(\"2027-01-\(day)\")" : "datetime(\"2027-01-\(day)T\(hour < 10 ? "0" : "")\(hour):30:00Z\")"
    }

    private mutating func span(_ depth: Int) -> String {
        guard depth > 0 else { return "duration(\"\(Int.random(in: -3...30, using: &random))h\")" }
        return switch Int.random(in: 0..<4, using: &random) {
        case 0: "duration(\"\(Int.random(in: -100...3000, using: &random))m\")"
        case 1: "\(moment(depth - 1)).durationSince(\(moment(depth - 1)))"
        default: "\(moment(depth - 1)).toTime()"
        }
    }

    private mutating func number(_ depth: Int) -> String {
        guard depth > 0 else { return "\(Int.random(in: -3...40, using: &random))" }
        let unit = ["toHours", "toMinutes", "toDays", "toSeconds", "toMilliseconds"].randomElement(using: &random)!
        let operation = ["+", "-", "*"].randomElement(using: &random)!
        return switch Int.random(in: 0..<4, using: &random) {
        case 0: "(\(number(depth - 1)) \(operation) \(number(depth - 1)))"
        case 1: "-(\(number(depth - 1)))"
        case 2: "(if \(comparison(depth - 1)) then \(number(depth - 1)) else \(number(depth - 1)))"
        default: "\(span(depth - 1)).\(unit)()"
        }
    }
}
