import Testing

@testable import Cedar

/// Requests and entities beside a schema.
@Suite struct ConformanceTests {
    private static let schema = """
        entity Group in [Group]; entity Colour enum ["red"];
        entity User in [Group] = { ip?: ipaddr, at: Set<datetime>, boss?: User, shade?: Colour, deep?: { u: User } } tags Long;
        action read in [all] appliesTo { principal: User, resource: [User, Colour], context: { from: ipaddr, by?: User } };
        action all;
        """

    private static func entities(_ text: String) throws -> Entities {
        try Entities(parsingJSON: text, schema: Schema(parsing: schema))
    }

    @Test func `the schema says what is an entity and what an extension value`() throws {
        let entities = try Self.entities(
            #"""
            [{"uid": {"type": "User", "id": "a"}, "parents": [{"type": "Group", "id": "g"}], "tags": {"t": 1},
              "attrs": {"ip": "10.0.0.1", "at": ["2024-01-01", {"__extn": {"fn": "datetime", "arg": "2024-01-02"}}, {"fn": "datetime", "arg": "2024-01-02"}],
                        "boss": {"type": "User", "id": "b"}, "deep": {"u": {"__entity": {"type": "User", "id": "c"}}}}}]
            """#)
        let user = try #require(entities[EntityUID(type: "User", id: "a")])
        #expect(user.attributes["ip"] == .ip(try Value.IPAddress("10.0.0.1")))
        #expect(user.attributes["boss"] == .entity(EntityUID(type: "User", id: "b")))
        #expect(user.attributes["deep"] == .record(["u": .entity(EntityUID(type: "User", id: "c"))]))
        #expect(
            user.attributes["at"]
                == .set([.datetime(try Value.Datetime("2024-01-01")), .datetime(try Value.Datetime("2024-01-02"))]))
        let all = EntityUID(type: "Action", id: "all")
        #expect(entities.contains(EntityUID(type: "Action", id: "read"), in: all), "the schema's actions are there")
    }

    @Test(arguments: [
        (
            #"{"uid": {"type": "User", "id": "a"}, "parents": [], "attrs": {}}"#,
            "`User::\"a\"` lacks the attribute `at`"
        ),
        (
            #"{"uid": {"type": "User", "id": "a"}, "parents": [], "attrs": {"at": [], "x": 1}}"#,
            "`User::\"a\"` has the attribute `x`, which the schema does not declare"
        ),
        (
            #"{"uid": {"type": "User", "id": "a"}, "parents": [], "attrs": {"at": 1}}"#,
            "the attribute `at` of `User::\"a\"` is no Set<datetime>"
        ),
        (
            #"{"uid": {"type": "User", "id": "a"}, "parents": [{"type": "User", "id": "b"}], "attrs": {"at": []}}"#,
            "`User::\"a\"` cannot belong to `User::\"b\"`"
        ),
        (
            #"{"uid": {"type": "User", "id": "a"}, "parents": [], "attrs": {"at": [], "shade": {"type": "Colour", "id": "blue"}}}"#,
            "the schema has no entity `Colour::\"blue\"` among those of its type"
        ),
        (
            #"{"uid": {"type": "User", "id": "a"}, "parents": [], "attrs": {"at": []}, "tags": {"t": "x"}}"#,
            "the tag \"t\" of `User::\"a\"` is no Long"
        ),
        (
            #"{"uid": {"type": "Group", "id": "a"}, "parents": [], "attrs": {}, "tags": {"t": 1}}"#,
            "`Group::\"a\"` has the tag \"t\", but the schema declares no tags for it"
        ),
        (
            #"{"uid": {"type": "Robot", "id": "a"}, "parents": [], "attrs": {}}"#,
            "the schema has no entity type `Robot`"
        ),
        (
            #"{"uid": {"type": "Action", "id": "fly"}, "parents": [], "attrs": {}}"#,
            "the schema has no action `Action::\"fly\"`"
        ),
        (
            #"{"uid": {"type": "Action", "id": "read"}, "parents": [], "attrs": {}}"#,
            "the action `Action::\"read\"` is not as the schema declares it"
        ),
        (
            #"{"uid": {"type": "User", "id": "a"}, "parents": [], "attrs": {"at": [], "ip": "x"}}"#,
            "`ip`: \"x\" is no IP address or range, such as \"10.0.0.0/8\""
        ),
    ])
    func `an entity that is not as the schema says is refused`(entity: String, message: String) {
        #expect {
            try Self.entities("[\(entity)]")
        } throws: {
            "\($0)" == message
        }
    }

    @Test(arguments: [
        ("User::\"a\"", "read", "Colour::\"red\"", nil), ("User::\"a\"", "read", "User::\"b\"", nil),
        ("Group::\"a\"", "read", "User::\"b\"", "`Action::\"read\"` does not apply to principals of type `Group`"),
        ("User::\"a\"", "read", "Group::\"b\"", "`Action::\"read\"` does not apply to resources of type `Group`"),
        (
            "User::\"a\"", "read", "Colour::\"blue\"",
            "the schema has no entity `Colour::\"blue\"` among those of its type"
        ),
        ("Robot::\"a\"", "read", "User::\"b\"", "the schema has no entity type `Robot`, which the principal is of"),
        ("User::\"a\"", "fly", "User::\"b\"", "the schema has no action `Action::\"fly\"`"),
        ("User::\"a\"", "all", "User::\"b\"", "`Action::\"all\"` does not apply to principals of type `User`"),
    ])
    func `a request is as the schema says`(principal: String, action: String, resource: String, message: String?) throws
    {
        func uid(_ text: String) throws -> EntityUID {
            let policy = try PolicySet(parsing: "permit(principal == \(text), action, resource);").policies[0]
            guard case .equal(let uid) = policy.scope.principal else { throw JSONError("") }
            return uid
        }
        let schema = try Schema(parsing: Self.schema)
        let request = Request(
            principal: try uid(principal), action: EntityUID(type: "Action", id: action), resource: try uid(resource),
            context: Context(["from": .ip(try Value.IPAddress("10.0.0.1"))]))
        do throws(ConformanceError) {
            try schema.validate(request)
            #expect(message == nil)
        } catch { #expect("\(error)" == message) }
    }

    @Test func `a context is as its action says`() throws {
        let schema = try Schema(parsing: Self.schema)
        let read = EntityUID(type: "Action", id: "read")
        let user = EntityUID(type: "User", id: "a")
        let context = try Context(
            parsingJSON: #"{"from": "10.0.0.1", "by": {"type": "User", "id": "a"}}"#, schema: schema, action: read)
        #expect(context.attributes["by"] == .entity(user))
        try schema.validate(Request(principal: user, action: read, resource: user, context: context))
        let error = ConformanceError.invalidContext(read)
        #expect(throws: error) { try schema.validate(Request(principal: user, action: read, resource: user)) }
        #expect(throws: JSONError.self) { try Context(parsingJSON: #"{"more": 1}"#, schema: schema, action: read) }
    }
}
