import Testing

@testable import Cedar

@Suite struct RoundTripTests {
    @Test func `the canonical text is stable`() throws {
        let text = #"""
            @id("a\"b\u{1b}\u{202e}é")
            @bare("")
            forbid (principal is n::Agent in Group::"g\n", action in [Action::"a", Action::"b"], resource == Service::"s");
            """#
        let policy = try #require(PolicySet(parsing: text).policies.first)
        #expect(policy.description == text)
    }

    @Test(arguments: 0..<200)
    func `a printed policy reads back the same`(seed: Int) throws {
        var world = World(seed: UInt64(seed))
        let policy = world.policy(0)
        let again = try #require(PolicySet(parsing: policy.description).policies.first)
        #expect(again.effect == policy.effect)
        #expect(again.scope == policy.scope)
    }

    @Test(arguments: 0..<200)
    func `any string reads back from its literal`(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        var string = ""
        for _ in 0..<20 {
            let ceiling: UInt32 = [0x80, 0x800, 0x3000, 0x110000].randomElement(using: &random)!
            if let scalar = Unicode.Scalar(UInt32.random(in: 0..<ceiling, using: &random)) {
                string.unicodeScalars.append(scalar)
            }
        }
        let entity = EntityUID(type: "Agent", id: string)
        let policy = try #require(PolicySet(parsing: "permit(principal == \(entity),action,resource);").policies.first)
        #expect(policy.scope.principal == .equal(entity))
    }

    @Test func `a mark at the start of a pattern, or behind a star, is printed`() throws {
        let text = "permit(principal, action, resource) when { \"a\" like \"\u{301}a\\*\u{301}*\u{301}\" };"
        let policy = try #require(PolicySet(parsing: text).policies.first)
        #expect(try PolicySet(parsing: policy.description).policies.first?.conditions == policy.conditions)
    }
}
