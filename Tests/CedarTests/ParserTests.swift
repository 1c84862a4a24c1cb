import Testing

@testable import Cedar

@Suite struct ParserTests {
    @Test func `a policy is read with its annotations, effect, scope and place`() throws {
        let text = """
            // who may reach the ledger
            @id("one-to-ledger")
            @note
            permit (principal == Agent::"one", action == Action::"connect", resource in a::b::Tag::"x y");
            """
        let policy = try #require(PolicySet(parsing: text).policies.first)
        #expect(policy.id == "one-to-ledger")
        #expect(policy.annotation("note") == "")
        #expect(policy.effect == .permit)
        #expect(policy.scope.principal == .equal(EntityUID(type: "Agent", id: "one")))
        #expect(policy.scope.action == .equal(EntityUID(type: "Action", id: "connect")))
        #expect(policy.scope.resource == .within(EntityUID(type: "a::b::Tag", id: "x y")))
        #expect(policy.range.start == SourcePosition(line: 2, column: 1, offset: 28))
        #expect(policy.range.end.offset == text.utf8.count)
    }

    @Test(arguments: [
        ("", EntityConstraint.any),
        ("== Agent::\"a\"", .equal(EntityUID(type: "Agent", id: "a"))),
        ("in Group::\"g\"", .within(EntityUID(type: "Group", id: "g"))),
        ("is orders_db :: orders", .isType("orders_db::orders")),
        ("is Agent in Group::\"g\"", .isTypeWithin("Agent", EntityUID(type: "Group", id: "g"))),
        ("== ((Agent::\"a\"))", .equal(EntityUID(type: "Agent", id: "a"))),
        ("is Agent in (Group::\"g\")", .isTypeWithin("Agent", EntityUID(type: "Group", id: "g"))),
    ])
    func `principal and resource take every form of a scope`(form: String, constraint: EntityConstraint) throws {
        let scope = try #require(
            PolicySet(parsing: "forbid(principal \(form),action,resource \(form));").policies.first?.scope)
        #expect(scope.principal == constraint)
        #expect(scope.resource == constraint)
    }

    @Test(arguments: [
        ("", ActionConstraint.any),
        ("== Action::\"a\"", .equal(EntityUID(type: "Action", id: "a"))),
        ("in n::Action::\"a\"", .within([EntityUID(type: "n::Action", id: "a")])),
        (
            "in [Action::\"a\", Action::\"b\"]",
            .within([EntityUID(type: "Action", id: "a"), EntityUID(type: "Action", id: "b")])
        ),
        ("in [Action::\"a\",]", .within([EntityUID(type: "Action", id: "a")])),
        ("in []", .within([])),
        ("== (Action::\"a\")", .equal(EntityUID(type: "Action", id: "a"))),
        ("in ([(Action::\"a\")])", .within([EntityUID(type: "Action", id: "a")])),
    ])
    func `action takes every form of a scope`(form: String, constraint: ActionConstraint) throws {
        let policy = try #require(PolicySet(parsing: "permit(principal,action \(form),resource);").policies.first)
        #expect(policy.scope.action == constraint)
    }

    @Test func `policies without an id are numbered by their place`() throws {
        let text =
            #"permit(principal,action,resource); @id("x") permit(principal,action,resource); forbid(principal,action,resource);"#
        #expect(try PolicySet(parsing: text).policies.map(\.id) == ["policy0", "x", "policy2"])
    }

    @Test(arguments: [
        (#"\" \\ \' \n\r\t\0"#, "\" \\ ' \n\r\t\0"),
        (#"\x41\x7f"#, "A\u{7F}"),
        (#"\u{e9}\u{01F600}"#, "é😀"),
        (#"\u{6_1}\u{0000_62_}\u{6__3}"#, "abc"),
        ("raw\nline, é😀", "raw\nline, é😀"),
    ])
    func `strings are escaped as in Rust`(literal: String, value: String) throws {
        let policy = try #require(
            PolicySet(parsing: "@n(\"\(literal)\") permit(principal,action,resource);").policies.first)
        #expect(policy.annotation("n") == value)
    }

    @Test func `an empty text holds no policy`() throws {
        #expect(try PolicySet(parsing: "").policies.isEmpty)
        #expect(try PolicySet(parsing: " \t\r\n// nothing\n").policies.isEmpty)
    }

    @Test func `a comment ends at a carriage return`() throws {
        #expect(try PolicySet(parsing: "// x\rforbid(principal,action,resource);").policies.count == 1)
    }
}
