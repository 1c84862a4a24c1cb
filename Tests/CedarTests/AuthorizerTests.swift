import Testing

@testable import Cedar

@Suite struct AuthorizerTests {
    private static let request = Request(
        principal: EntityUID(type: "Agent", id: "crew/writer"), action: EntityUID(type: "Action", id: "http:GET"),
        resource: EntityUID(type: "Service", id: "ledger"))

    private static func entities() throws -> Entities {
        try Entities([
            Entity(EntityUID(type: "Agent", id: "crew/writer"), in: [EntityUID(type: "Agent", id: "crew")]),
            Entity(EntityUID(type: "Agent", id: "crew"), in: [EntityUID(type: "Group", id: "research")]),
            Entity(EntityUID(type: "Service", id: "ledger"), in: [EntityUID(type: "Tag", id: "prod")]),
            Entity(EntityUID(type: "Action", id: "http:GET"), in: [EntityUID(type: "Action", id: "read")]),
        ])
    }

    private static func respond(_ text: String) throws -> Response {
        try Authorizer(policies: PolicySet(parsing: text), entities: entities()).authorize(request)
    }

    @Test func `what nothing permits is denied`() throws {
        #expect(try Self.respond("") == Response(decision: .deny, determining: []))
        let response = try Self.respond(#"permit(principal == Agent::"other", action, resource);"#)
        #expect(response.decision == .deny && response.determining.isEmpty)
    }

    @Test func `a forbid beats every permit and is the reason`() throws {
        let response = try Self.respond(
            """
            @id("all") permit(principal, action, resource);
            @id("no-prod") forbid(principal, action, resource in Tag::"prod");
            @id("other") forbid(principal, action, resource in Tag::"staging");
            """)
        #expect(response.decision == .deny)
        #expect(response.determining.map(\.id) == ["no-prod"])
        #expect(response.determining.first?.range.start.line == 2)
    }

    @Test func `every matching permit is a reason, in the order of the text`() throws {
        let response = try Self.respond(
            """
            @id("z") permit(principal, action in [Action::"read", Action::"http:GET"], resource);
            @id("a") permit(principal in Group::"research", action in Action::"read", resource == Service::"ledger");
            """)
        #expect(response.decision == .allow)
        #expect(response.determining.map(\.id) == ["z", "a"])
    }

    @Test(arguments: [
        (#"principal == Agent::"crew/writer""#, true),
        (#"principal == Agent::"crew""#, false),
        (#"principal in Agent::"crew/writer""#, true),
        (#"principal in Agent::"crew""#, true),
        (#"principal in Group::"research""#, true),
        (#"principal in Group::"nobody""#, false),
        ("principal is Agent", true),
        ("principal is Group", false),
        ("principal is demo::Agent", false),
        (#"principal is Agent in Group::"research""#, true),
        (#"principal is User in Group::"research""#, false),
    ])
    func `a scope matches as the language says`(principal: String, matches: Bool) throws {
        let response = try Self.respond("permit(\(principal), action, resource);")
        #expect(response.decision == (matches ? .allow : .deny))
    }

    @Test func `an empty list of actions matches none`() throws {
        #expect(try Self.respond("permit(principal, action in [], resource);").decision == .deny)
    }

    @Test func `ids that only look alike are different`() throws {
        let composed = EntityUID(type: "Agent", id: "caf\u{E9}")
        let decomposed = EntityUID(type: "Agent", id: "cafe\u{301}")
        #expect(composed != decomposed)
        #expect(Set([composed, decomposed]).count == 2)
        let policies = try PolicySet(parsing: "permit(principal == \(composed), action, resource);")
        let authorizer = Authorizer(policies: policies, entities: try Entities([]))
        let read = EntityUID(type: "Action", id: "read")
        #expect(authorizer.authorize(Request(principal: composed, action: read, resource: composed)).decision == .allow)
        #expect(
            authorizer.authorize(Request(principal: decomposed, action: read, resource: composed)).decision == .deny)
    }

    @Test func `a scope says which variables do not match`() throws {
        let text = #"permit(principal == Agent::"other", action, resource in Tag::"staging");"#
        let scope = try #require(PolicySet(parsing: text).policies.first?.scope)
        #expect(scope.mismatches(Self.request, in: try Self.entities()) == [.principal, .resource])
    }
}
