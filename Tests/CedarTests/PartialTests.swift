import Testing

@testable import Cedar

@Suite struct PartialTests {
    private static let schema = """
        entity Group in [Group];
        entity User in [Group] = { name: String, age?: Long };
        entity Doc in [Group] = { owner: User, readers: Set<User>, open: Bool };
        action read appliesTo { principal: User, resource: Doc, context: { mfa: Bool, level?: Long } };
        """
    private static let ann = EntityUID(type: "User", id: "ann")
    private static let read = EntityUID(type: "Action", id: "read")

    private static func entities(_ schema: Schema) throws -> Entities {
        let group = EntityUID(type: "Group", id: "g")
        let bob = EntityUID(type: "User", id: "bob")
        return try Entities(
            [
                Entity(group), Entity(ann, in: [group], attributes: ["name": .string("ann"), "age": .long(40)]),
                Entity(bob, attributes: ["name": .string("bob")]),
                Entity(
                    EntityUID(type: "Doc", id: "d"), in: [group],
                    attributes: ["owner": .entity(ann), "readers": .set([.entity(bob)]), "open": .bool(false)]),
            ] + schema.sortedActions.map(\.entity))
    }

    private static func authorizer(_ text: String) throws -> (PartialAuthorizer, Schema) {
        let schema = try Schema(parsing: Self.schema)
        let policies = try PolicySet(parsing: text, naming: .place)
        return (
            try PartialAuthorizer(policies: policies, schema: schema, principal: "User", action: read, resource: "Doc"),
            schema
        )
    }

    /// The principal is known, the resource is not: which documents may ann read?
    @Test(arguments: [
        (#"permit(principal == User::"ann", action, resource);"#, "allow", []),
        (#"permit(principal == User::"bob", action, resource);"#, "deny", []),
        (
            #"permit(principal in Group::"g", action, resource) when { resource.owner == principal };"#, "open",
            [#"resource.owner == User::"ann""#]
        ),
        (
            #"permit(principal, action, resource in Group::"x") when { principal.age > 3 || resource.open };"#, "deny",
            []
        ),
        (
            #"permit(principal, action, resource in Group::"x") when { principal has age && (principal.age > 3 || resource.open) };"#,
            "open", [#"resource in Group::"x""#]
        ),
        (
            #"permit(principal, action, resource) when { principal has age && principal.age > 50 && resource.open };"#,
            "deny", []
        ),
        (#"permit(principal, action, resource) when { resource is Doc };"#, "allow", []),
        (
            #"permit(principal, action, resource) when { context.mfa && principal in resource.readers };"#, "open",
            [#"context.mfa && User::"ann" in resource.readers"#]
        ),
        (#"permit(principal, action, resource) when { context has mfa };"#, "allow", []),
        (
            #"permit(principal, action, resource); forbid(principal, action, resource) when { resource.open };"#,
            "open", ["resource.open"]
        ),
        (
            #"permit(principal, action, resource) when { resource.open }; forbid(principal, action, resource);"#,
            "deny", ["resource.open"]
        ),
        (
            #"permit(principal, action, resource) when { if principal.name == "ann" then resource.open else resource.owner.name == "x" };"#,
            "open", ["resource.open"]
        ),
        (
            #"permit(principal, action, resource) when { resource.open && 9223372036854775807 + 1 == 0 };"#, "open",
            ["resource.open && 9223372036854775807 + 1 == 0"]
        ),
        (#"permit(principal, action, resource) when { 9223372036854775807 + 1 == 0 && resource.open };"#, "deny", []),
    ])
    func `what is left is simple, and says what to ask of a resource`(
        text: String, decision: String, residuals: [String]
    ) throws {
        guard !text.contains("principal.age > 3 ||") || text.contains("has age") else {
            #expect(throws: PartialError.self) { try Self.authorizer(text) }
            return
        }
        let (authorizer, schema) = try Self.authorizer(text)
        let response = authorizer.authorize(PartialRequest(principal: "ann"), in: try Self.entities(schema))
        #expect(response.decision == (decision == "allow" ? .allow : decision == "deny" ? .deny : nil))
        #expect(response.residuals.map { $0.conditions.map(\.body.description).joined() } == residuals)
    }

    @Test func `what is known of the context is used`() throws {
        let (authorizer, schema) = try Self.authorizer(
            "permit(principal, action, resource) when { context.mfa && context has level && context.level > 3 };")
        let entities = try Self.entities(schema)
        func decide(_ known: [Text: Value]) -> PartialResponse {
            authorizer.authorize(PartialRequest(context: Context(known, isPartial: true)), in: entities)
        }
        #expect(decide(["mfa": .bool(false)]).decision == .deny)
        #expect(decide(["mfa": .bool(true), "level": .long(9)]).decision == .allow)
        #expect(
            decide(["level": .long(9)]).residuals.map { $0.conditions.map(\.body.description) } == [["context.mfa"]])
    }

    @Test func `an answer in two steps is the answer in one`() throws {
        let text = """
            permit(principal in Group::"g", action, resource) when { resource.owner == principal || context.mfa };
            permit(principal, action, resource) when { resource.readers.contains(principal) };
            forbid(principal, action, resource) when { context has level && context.level + 9223372036854775807 > 0 };
            forbid(principal == User::"bob", action, resource in Group::"g") unless { context.mfa };
            """
        let (authorizer, schema) = try Self.authorizer(text)
        let entities = try Self.entities(schema)
        let whole = Authorizer(policies: try PolicySet(parsing: text, naming: .place), entities: entities)
        for principal in ["ann", "bob", "nobody"] {
            let contexts: [[Text: Value]] = [
                ["mfa": .bool(true)], ["mfa": .bool(false), "level": .long(1)],
                ["mfa": .bool(true), "level": .long(-5)],
            ]
            for context in contexts {
                for resource in ["d", "e"] {
                    let request = Request(
                        principal: EntityUID(type: "User", id: principal), action: Self.read,
                        resource: EntityUID(type: "Doc", id: resource), context: Context(context))
                    let expected = whole.authorize(request)
                    for mask in 0..<8 {
                        let partial = PartialRequest(
                            principal: mask & 1 == 0 ? principal : nil, resource: mask & 2 == 0 ? resource : nil,
                            context: mask & 4 == 0 ? request.context : Context(isPartial: true))
                        let response = authorizer.authorize(partial, in: entities)
                        #expect(response.decision == nil || response.decision == expected.decision)
                        let answer = response.reauthorize(request, in: entities)
                        #expect(answer.decision == expected.decision)
                        #expect(answer.determining == Set(expected.determining.map(\.id)))
                        #expect(answer.failing == Set(expected.errors.map(\.policy)))
                    }
                }
            }
        }
    }

    @Test func `policies that are not valid are not evaluated in part`() throws {
        #expect(throws: PartialError.self) {
            try Self.authorizer("permit(principal, action, resource) when { principal.nothing };")
        }
        let schema = try Schema(parsing: Self.schema)
        #expect(throws: PartialError.invalidRequest(Self.read)) {
            try PartialAuthorizer(
                policies: PolicySet([]), schema: schema, principal: "Doc", action: Self.read, resource: "Doc")
        }
    }
}
