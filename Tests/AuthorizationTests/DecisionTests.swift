import Authorization
import Mesh
import Testing

@Suite struct DecisionTests {
    private static let text = """
        @id("one-to-ledger")
        permit (principal == Agent::"one", action == Action::"connect", resource == Service::"ledger");
        @id("crew-to-staging")
        permit (principal in Agent::"crew", action == Action::"connect", resource in Tag::"staging");
        @id("staff-to-money")
        permit (principal in Group::"staff", action, resource in Tag::"money");
        @id("no-writer-in-prod")
        forbid (principal == Agent::"crew/writer", action, resource in Tag::"prod");
        permit (principal in Group::"research", action in Action::"read", resource == Service::"wiki");
        permit (principal in Agent::"gone", action, resource);
        permit (principal in Agent::"deep", action == Action::"connect", resource is Service in Tag::"prod");
        """

    @Test(arguments: [
        ("one", "ledger", Decision.Reason.permitted([PolicyReference("one-to-ledger", line: 1)])),
        ("one", "wiki", .notPermitted),
        ("two", "ledger", .notPermitted),
        ("crew", "wiki", .permitted([PolicyReference("crew-to-staging", line: 3)])),
        ("crew/writer", "wiki", .permitted([PolicyReference("crew-to-staging", line: 3)])),
        ("crew", "ledger", .permitted([PolicyReference("staff-to-money", line: 5)])),
        ("crew/writer", "ledger", .forbidden([PolicyReference("no-writer-in-prod", line: 7)])),
        ("deep/er/one", "ledger", .permitted([PolicyReference("policy6", line: 11)])),
        ("gone", "ledger", .disabled(AgentName(unchecked: "gone"))),
        ("gone/below", "ledger", .disabled(AgentName(unchecked: "gone"))),
        ("nobody", "ledger", .unknownAgent),
        ("one", "nothing", .unknownService),
    ])
    func `connecting is decided by policy, with its place`(agent: String, service: String, reason: Decision.Reason)
        throws
    {
        #expect(try Demo.snapshot(Self.text).reason(agent, service) == reason)
    }

    @Test func `an action belongs to what the schema says`() throws {
        let get = try #require(MeshAction(rawValue: "http:GET"))
        let post = try #require(MeshAction(rawValue: "http:POST"))
        let snapshot = try Demo.snapshot(Self.text)
        #expect(snapshot.reason("one", "wiki", get) == .permitted([PolicyReference("policy4", line: 9)]))
        #expect(snapshot.reason("one", "wiki", post) == .notPermitted)
        #expect(MeshAction(rawValue: "conect") == nil)
    }

    @Test func `what is not registered is denied even by a permit for all`() throws {
        let snapshot = try Demo.snapshot("permit (principal, action, resource);")
        #expect(snapshot.reason("nobody", "ledger") == .unknownAgent)
        #expect(snapshot.reason("one", "nothing") == .unknownService)
    }

    @Test func `no policies deny everything`() throws {
        #expect(try Demo.snapshot([]).reason("one", "ledger") == .notPermitted)
    }

    @Test func `policies of several documents act together, each under its own name`() throws {
        let all = "permit (principal, action, resource);"
        let snapshot = try Demo.snapshot([
            PolicyDocument(name: PolicyName(unchecked: "b.cedar"), text: all),
            PolicyDocument(name: PolicyName(unchecked: "a.cedar"), text: "\n" + all),
        ])
        let both = [
            PolicyReference("policy0", line: 2, document: "a.cedar"),
            PolicyReference("policy0", line: 1, document: "b.cedar"),
        ]
        #expect(snapshot.reason("one", "ledger") == .permitted(both))
    }
}
