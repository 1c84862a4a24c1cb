import Testing

@testable import Cedar

@Suite struct EvaluatorTests {
    private static let entities = try! Entities([
        Entity(
            EntityUID(type: "User", id: "ann"), in: [EntityUID(type: "Group", id: "staff")],
            attributes: [
                "age": .long(41), "mail": .string("ann@example.org"),
                "boss": .entity(EntityUID(type: "User", id: "ben")),
                "address": .record(["city": .string("Bern"), "two words": .long(2)]),
                "roles": .set([.string("a"), .string("b")]), "least": .long(.min),
            ], tags: ["team": .string("red"), "level": .long(3)]),
        Entity(EntityUID(type: "Group", id: "staff"), in: [EntityUID(type: "Group", id: "all")]),
    ])
    private static let request = Request(
        principal: EntityUID(type: "User", id: "ann"), action: EntityUID(type: "Action", id: "view"),
        resource: EntityUID(type: "File", id: "x"),
        context: Context(["port": .long(443), "r": .record(["a": .long(1)])]))

    private static func verdict(_ condition: String, _ request: Request = request) throws -> Verdict {
        let policies = try PolicySet(parsing: "permit(principal, action, resource) when { \(condition) };")
        return Authorizer(policies: policies, entities: entities).verdict(of: policies.policies[0], on: request)
    }

    @Test(arguments: [
        "1 + 2 * 3 == 7", "1 - 2 - 3 == -4", "-9223372036854775808 < 0", "---1 == -1", "!!!!true", "2 * -3 == -6",
        "true || 1 == 1 && false", "!(true && false)", "(1 == 2) == false", "1 < 2", "2 <= 2", "3 > 2", "3 >= 3",
        "1 != 2",
        "if 1 == 2 then false else true", "if true then true else false && false",
        "true || 1", "!(false && 1)", "if true then true else 1 + \"a\" == 2",
        "1 != \"1\"", "[1] != 1", "{} != []", "[1, 2, 2] == [2, 1]", "{a: 1, \"b\": 2} == {b: 2, a: 1}", "[] == []",
        "User::\"ann\" == principal", "User::\"ann\" != Group::\"ann\"",
        "principal in Group::\"all\"", "principal in [File::\"x\", Group::\"staff\"]", "!(principal in [])",
        "principal in principal", "User::\"nobody\" in User::\"nobody\"", "!(User::\"nobody\" in Group::\"staff\")",
        "principal is User", "principal is User in Group::\"all\"", "!(principal is Group in 1)",
        "principal.age == 41", "principal[\"age\"] == 41", "principal.address.city == \"Bern\"",
        "principal.address[\"two words\"] == 2", "context.port == 443", "context.r.a == 1", "{a: {b: 1}}.a.b == 1",
        "principal has age", "principal has address.city", "!(principal has address.city2)", "principal has \"age\"",
        "!(principal has nothing.at.all)", "!(User::\"nobody\" has age)", "!(context has now)", "context has r.a",
        "principal.mail like \"*@example.org\"", "\"a*b\" like \"a\\*b\"", "!(\"axb\" like \"a\\*b\")",
        "\"\" like \"*\"",
        "\"aXbXc\" like \"a*b*c\"", "!(\"ab\" like \"ab*b\")", "\"abab\" like \"ab*ab\"", "\"é\" like \"*\\u{e9}\"",
        "[1, \"a\"].contains(\"a\")", "[1, 2].containsAll([2])", "[1].containsAll([])", "[1, 2].containsAny([2, 3])",
        "![1].containsAny([])", "[].isEmpty()", "!([[]].isEmpty())",
        "principal.hasTag(\"team\")", "principal.getTag(\"team\") == \"red\"", "!principal.hasTag(\"x\")",
        "!(User::\"nobody\".hasTag(\"x\"))",
    ])
    func `a condition holds`(condition: String) throws {
        #expect(try Self.verdict(condition) == .holds)
    }

    @Test(arguments: [
        ("9223372036854775807 + 1 == 0", "1:44: `9223372036854775807 + 1` does not fit into 64 bits"),
        ("-principal.least == 0", "1:44: `-(-9223372036854775808)` does not fit into 64 bits"),
        ("4611686018427387904 * 2 == 0", "1:44: `4611686018427387904 * 2` does not fit into 64 bits"),
        ("principal.nothing == 1", "1:44: the entity `User::\"ann\"` has no attribute `nothing`"),
        ("User::\"nobody\".age == 1", "1:44: there is no entity `User::\"nobody\"`"),
        ("User::\"nobody\".getTag(\"a\") == 1", "1:44: there is no entity `User::\"nobody\"`"),
        ("principal.getTag(\"a b\") == 1", "1:44: the entity `User::\"ann\"` has no tag \"a b\""),
        ("context.now == 1", "1:44: the record has no attribute `now`"),
        ("{}[\"a b\"] == 1", "1:44: the record has no attribute `\"a b\"`"),
        ("1", "1:44: expected bool, found long"),
        ("true && 1", "1:52: expected bool, found long"),
        ("!\"a\"", "1:45: expected bool, found string"),
        ("if 1 then true else true", "1:47: expected bool, found long"),
        ("1 < \"a\"", "1:44: expected long, found string"),
        ("\"a\" > 1", "1:44: expected long or datetime or duration, found string"),
        ("decimal(\"1.0\") < decimal(\"2.0\")", "1:44: expected long or datetime or duration, found decimal"),
        ("datetime(\"2024-01-01\") < duration(\"1h\")", "1:44: expected datetime, found duration"),
        ("1 + \"a\" == 2", "1:44: expected long, found string"),
        ("1 in principal", "1:44: expected entity, found long"),
        ("principal in 1", "1:44: expected entity or set, found long"),
        ("principal in [User::\"ann\", 1]", "1:44: expected entity, found long"),
        ("1 is User", "1:44: expected entity, found long"),
        ("1 has a", "1:44: expected record or entity, found long"),
        ("principal has age.years", "1:44: expected record or entity, found long"),
        ("1 like \"a\"", "1:44: expected string, found long"),
        ("1.isEmpty()", "1:44: expected set, found long"),
        ("[1].containsAll(1)", "1:44: expected set, found long"),
        ("principal.hasTag(1)", "1:44: expected string, found long"),
        ("User::\"nobody\".hasTag(1)", "1:44: expected string, found long"),
        ("ip(\"1.2.3.4\", \"5\").isIpv4()", "1:44: `ip` takes 1 arguments with the value it is called on, not 2"),
        ("ip(\"x\").isIpv4()", "1:44: `ip`: \"x\" is no IP address or range, such as \"10.0.0.0/8\""),
    ])
    func `what has no value is an error at its place`(condition: String, error: String) throws {
        guard case .fails(let failure) = try Self.verdict(condition) else { return #expect(Bool(false)) }
        #expect(failure.description == error)
    }

    @Test func `a policy that fails is skipped and named, and the others decide`() throws {
        let policies = try PolicySet(
            parsing: """
                @id("bad") forbid(principal, action, resource) when { 1 };
                @id("good") permit(principal, action, resource) when { context.port == 443 } unless { false };
                @id("closed") permit(principal, action, resource) when { true } when { false } when { 1 };
                """)
        let response = Authorizer(policies: policies, entities: Self.entities).authorize(Self.request)
        #expect(response.decision == .allow)
        #expect(response.determining.map(\.id) == ["good"])
        #expect(response.errors.map(\.description) == ["policy `bad`: 1:55: expected bool, found long"])
    }

    @Test(arguments: [
        ("context.port == 443", Verdict.holds), ("true || context.x", .holds), ("false && context has x", .holdsNot),
        ("context has port", .holds), ("{a: 1} has a", .holds),
    ])
    func `what is known of a partial context can be asked for`(condition: String, verdict: Verdict) throws {
        #expect(try Self.verdict(condition, Self.partial) == verdict)
    }

    @Test(arguments: [
        ("context.x == 1", "1:44: `context.x` is not known here"),
        ("context has x", "1:44: `context.x` is not known here"),
        ("context has x.y", "1:44: `context.x` is not known here"),
        ("context == {}", "1:44: the whole `context` is not known here"),
    ])
    func `what is not known of a partial context is an error`(condition: String, error: String) throws {
        guard case .fails(let failure) = try Self.verdict(condition, Self.partial) else { return #expect(Bool(false)) }
        #expect(failure.description == error)
    }

    private static let partial = Request(
        principal: request.principal, action: request.action, resource: request.resource,
        context: Context(["port": .long(443)], isPartial: true))

    @Test func `strings that only look alike are different`() throws {
        #expect(try Self.verdict("\"caf\\u{e9}\" != \"cafe\\u{301}\"") == .holds)
        #expect(try Self.verdict("![\"caf\\u{e9}\"].contains(\"cafe\\u{301}\")") == .holds)
        #expect(try Self.verdict("!({\"caf\\u{e9}\": 1} has \"cafe\\u{301}\")") == .holds)
        #expect(try Self.verdict("!(\"cafe\\u{301}\" like \"cafe\")") == .holds)
    }
}
