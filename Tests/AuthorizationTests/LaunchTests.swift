import Authorization
import Mesh
import Testing

@Suite struct LaunchTests {
    private static let who = ["unix:uid": "1000", "unix:user": "ann", "unix:group:dev": "50"]

    private func decide(
        _ text: String, agent: String = "one", node: String = "node-b", for person: String? = nil,
        now: Timestamp? = Demo.now, selectors: [String: String] = who
    ) throws -> LaunchDecision {
        let snapshot = try Demo.snapshot(text)
        try snapshot.check()
        return snapshot.decideLaunch(
            of: AgentName(unchecked: agent), on: NodeName(unchecked: node), for: person.map { UserName(unchecked: $0) },
            now: now
        ) { selectors }
    }

    private func names(_ decision: LaunchDecision) -> String {
        switch decision {
        case .permitted(let policies): "permitted by \(policies.map(\.id).joined(separator: ","))"
        case .forbidden(let policies): "forbidden by \(policies.map(\.id).joined(separator: ","))"
        case .silent: "silent"
        }
    }

    @Test func `a policy permits by what is known of the caller`() throws {
        let text = """
            @id("ann") permit (principal == Node::"node-b", action == Action::"agent:launch", resource == Agent::"one")
            when { context.selectors.hasTag("unix:user") && context.selectors.getTag("unix:user") == "ann" };
            """
        #expect(names(try decide(text)) == "permitted by ann")
        #expect(names(try decide(text, agent: "two")) == "silent")
        #expect(names(try decide(text, node: "node-c")) == "silent")
        #expect(names(try decide(text, selectors: ["unix:user": "bob"])) == "silent")
        #expect(names(try decide(text, selectors: [:])) == "silent")
    }

    @Test func `who proved himself is asked about beside the node, and either may forbid`() throws {
        let ann = "ann@example.org"
        let text = """
            @id("ann") permit (principal == User::"\(ann)", action == Action::"agent:launch", resource == Agent::"one");
            @id("guests") forbid (principal == Node::"node-b", action == Action::"agent:launch", resource == Agent::"one")
            when { context.selectors.hasTag("unix:group:guests") };
            @id("all") permit (principal is Node, action == Action::"agent:launch", resource == Agent::"two");
            @id("holiday") forbid (principal == User::"\(ann)", action == Action::"agent:launch", resource == Agent::"two");
            """
        #expect(names(try decide(text)) == "silent")
        #expect(names(try decide(text, for: ann)) == "permitted by ann")
        #expect(names(try decide(text, for: "bob")) == "silent")
        #expect(names(try decide(text, for: ann, selectors: ["unix:group:guests": "9"])) == "forbidden by guests")
        #expect(names(try decide(text, agent: "two")) == "permitted by all")
        #expect(names(try decide(text, agent: "two", for: ann)) == "forbidden by holiday")
    }

    @Test func `a group is known by its name`() throws {
        let text = """
            @id("dev") permit (principal, action == Action::"agent:launch", resource in Group::"research")
            when { context.selectors.hasTag("unix:group:dev") };
            """
        #expect(names(try decide(text)) == "permitted by dev")
        #expect(names(try decide(text, selectors: ["unix:group:ops": "51"])) == "silent")
    }

    @Test func `a forbid stands above a permit`() throws {
        let text = """
            @id("all") permit (principal, action == Action::"agent:launch", resource);
            @id("freeze") forbid (principal, action == Action::"agent:launch", resource)
            when { context.now < datetime("2027-02-01") };
            """
        #expect(names(try decide(text)) == "forbidden by freeze")
        #expect(names(try decide(text, now: Timestamp(rawValue: 1_900_000_000_000))) == "permitted by all")
    }

    @Test func `what cannot be decided opens nothing`() throws {
        let permit = """
            @id("day") permit (principal, action == Action::"agent:launch", resource)
            when { context.now.toTime() >= duration("1h") };
            """
        #expect(names(try decide(permit)) == "permitted by day")
        #expect(names(try decide(permit, now: nil)) == "silent")
        let forbid = permit.replacing("permit", with: "forbid")
        #expect(names(try decide(forbid, now: nil)) == "forbidden by day")
        let tag = """
            @id("tag") forbid (principal, action == Action::"agent:launch", resource)
            when { context.selectors.hasTag("unix:uid") && context.selectors.getTag("unix:uid") == "1" };
            """
        #expect(names(try decide(tag)) == "silent")
    }

    @Test func `a tag that is asked for unseen is refused when it is written`() throws {
        #expect(throws: AuthorizationError.self) {
            try decide(
                """
                permit (principal, action == Action::"agent:launch", resource)
                when { context.selectors.getTag("unix:uid") == "1" };
                """)
        }
        #expect(throws: AuthorizationError.self) {
            try decide(
                """
                permit (principal, action == Action::"connect", resource)
                when { context.selectors.hasTag("unix:uid") };
                """)
        }
    }

    @Test func `what is said of connections says nothing of launches, and the reverse`() throws {
        let snapshot = try Demo.snapshot(
            """
            permit (principal == Agent::"one", action, resource);
            permit (principal == Node::"node-b", action, resource);
            """)
        try snapshot.check()
        let (agent, service) = (AgentName(unchecked: "one"), ServiceName(unchecked: "wiki"))
        #expect(snapshot.decide(agent: agent, action: .connect, service: service, now: Demo.now).policies.count == 1)
        #expect(
            snapshot.decide(
                agent: AgentName(unchecked: "two"), action: .connect, service: service, now: Demo.now
            ).policies.isEmpty)
        let node = NodeName(unchecked: "node-b")
        let launch = snapshot.decideLaunch(of: agent, on: node, now: Demo.now) { [:] }
        #expect(launch == .permitted(snapshot.reference { $0.id == "policy1" }.map { [$0] } ?? []))
    }

    @Test func `nobody is asked who the caller is where no policy speaks of launches`() throws {
        var asked = false
        let snapshot = try Demo.snapshot("permit (principal, action == Action::\"connect\", resource);")
        let decision = snapshot.decideLaunch(
            of: AgentName(unchecked: "one"), on: NodeName(unchecked: "node-b"), now: Demo.now
        ) {
            asked = true
            return [:]
        }
        #expect(decision == .silent)
        #expect(!asked)
    }
}
