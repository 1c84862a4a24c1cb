import Authorization
import Mesh
import Testing

/// Policies that ask for the time.
@Suite struct TimeWindowTests {
    private static let hours = """
        @id("office") permit (principal == Agent::"one", action == Action::"connect", resource == Service::"ledger")
        when { context.now.toTime() >= duration("9h") && context.now.toTime() < duration("17h") };
        """
    private static let midnight = Timestamp(rawValue: 1_799_971_200_000)
    private static let one = AgentName(unchecked: "one")
    private static let ledger = ServiceName(unchecked: "ledger")

    private static func at(_ hour: Int, _ minute: Int = 0) -> Timestamp {
        midnight + .seconds(hour * 3600 + minute * 60)
    }

    private static func grants(_ text: String, at now: Timestamp?) throws -> ConnectGrants {
        try Demo.snapshot(text).connectGrants(for: [one], services: [ledger], now: now)
    }

    @Test func `a grant ends with its window`() throws {
        let open = try Self.grants(Self.hours, at: Self.at(12))
        #expect(open.grants.map(\.until) == [Self.at(17)])
        #expect(open.nextChange == Self.at(17))
    }

    @Test(arguments: [(8, 9), (17, 24 + 9), (23, 24 + 9)])
    func `before a window nothing is granted, and it is known when to ask again`(hour: Int, opening: Int) throws {
        let closed = try Self.grants(Self.hours, at: Self.at(hour))
        #expect(closed.grants.isEmpty)
        let next = try #require(closed.nextChange)
        #expect(next > Self.at(hour) && next <= Self.at(opening))
    }

    @Test func `asking again at each change finds the window open in time`() throws {
        var now = Self.at(17)
        for _ in 0..<8 where now < Self.at(33) {
            let closed = try Self.grants(Self.hours, at: now)
            #expect(closed.grants.isEmpty)
            now = try #require(closed.nextChange)
        }
        #expect(now == Self.at(33))
        #expect(try Self.grants(Self.hours, at: now).grants.map(\.until) == [Self.at(24 + 17)])
    }

    @Test func `a forbid that comes ends the grant`() throws {
        let text = """
            permit (principal, action, resource);
            forbid (principal, action, resource) when { context.now >= datetime("2027-01-15T20:30:00Z") };
            """
        let now = try Self.grants(text, at: Self.at(8))
        #expect(now.grants.map(\.until) == [Self.at(20, 30)])
        #expect(now.nextChange == Self.at(20, 30))
        let later = try Self.grants(text, at: Self.at(20, 30))
        #expect(later == .none)
    }

    @Test func `a permit that takes over lets the grant go on`() throws {
        let text = """
            @id("a") permit (principal, action, resource) when { context.now < datetime("2027-01-15T12:00:00Z") };
            @id("b") permit (principal, action, resource) when { context.now >= datetime("2027-01-15T12:00:00Z") };
            """
        let morning = try Self.grants(text, at: Self.at(8))
        #expect(morning.grants.map(\.until) == [nil])
        #expect(morning.nextChange == Self.at(12))
    }

    @Test func `without the time no permit that asks for it holds, and every forbid does`() throws {
        #expect(try Self.grants(Self.hours, at: nil) == .none)
        let all = "permit (principal, action, resource);"
        #expect(try Self.grants(all, at: nil).grants.count == 1)
        let forbids = [
            "context.now < datetime(\"1999-01-01\")", "context has now && context.now < datetime(\"1999-01-01\")",
            "!(context has now)",
        ]
        for condition in forbids {
            let text = "\(all) forbid (principal, action, resource) when { \(condition) };"
            #expect(try Self.grants(text, at: nil) == .none)
            #expect(try Self.grants(text, at: Self.at(8)).grants.count == 1)
        }
    }

    @Test(arguments: [
        "context.flow.port == 22", "context has flow && context.flow.port == 22", "{} == context",
        "principal.color == \"red\"", "1 + 9223372036854775807 == 0", "ip(\"x\").isIpv4()",
    ])
    func `a condition that cannot be decided opens nothing`(condition: String) throws {
        let permit = "permit (principal, action, resource) when { \(condition) };"
        #expect(try Self.grants(permit, at: Self.at(8)) == .none)
        let forbid = "permit (principal, action, resource); forbid (principal, action, resource) when { \(condition) };"
        #expect(try Self.grants(forbid, at: Self.at(8)) == .none)
        #expect(
            try Demo.snapshot(forbid).reason("one", "ledger") == .forbidden([PolicyReference(id: "policy1", 1, 39)]))
    }

    @Test func `conditions see the owner of an agent and the place of a service`() throws {
        let text = """
            permit (principal, action, resource)
            when { principal.owner == User::"ann@example.org" && !principal.disabled }
            when { resource.node == Node::"node-b" && resource.protocol == "tcp" }
            unless { resource.external };
            """
        #expect(try Self.grants(text, at: nil).grants.map(\.until) == [nil])
        #expect(try Self.grants(text.replacing("ann@", with: "bob@"), at: nil) == .none)
    }

    @Test func `an explanation names the window, when it opens and when it closes`() throws {
        let snapshot = try Demo.snapshot(Self.hours)
        #expect(
            snapshot.explain("one", "ledger", now: Self.at(18)) == """
                denied: agent `one` may not connect to service `ledger` at this time
                  outside the time window of policy `office` (demo.cedar:1:1), which opens at 2027-01-16T09:00:00Z
                """)
        #expect(
            snapshot.explain("one", "ledger", now: Self.at(12)) == """
                allowed: agent `one` may connect to service `ledger`
                  by policy `office` (demo.cedar:1:1), until 2027-01-15T17:00:00Z
                """)
        #expect(
            snapshot.explain("one", "ledger", now: nil).hasPrefix(
                """
                denied: agent `one` may not connect to service `ledger`: no policy permits it
                  policy `office` (demo.cedar:1:1) permits nothing: line 2: the time is not known here yet
                """))
    }

    @Test func `an explanation names the part of a condition that does not hold`() throws {
        let snapshot = try Demo.snapshot(
            """
            @id("bobs") permit (principal, action, resource)
            when { !principal.disabled && principal.owner == User::"bob@example.org" };
            """)
        let fact =
            "policy `bobs` (demo.cedar:1:1) permits nothing: line 2: `principal.owner` is User::\"ann@example.org\", "
            + "so that `principal.owner == User::\"bob@example.org\"` is false"
        #expect(snapshot.explain("one", "ledger").contains("\n  \(fact)\n"))
        #expect(snapshot.denial("one", "ledger") == "no policy permits it: \(fact)")
    }

    @Test func `a log is told in one line why something was denied`() throws {
        let office = try Demo.snapshot(Self.hours)
        #expect(
            office.denial("one", "ledger", now: Self.at(18))
                == "outside the time window of policy `office` (demo.cedar:1:1), which opens at 2027-01-16T09:00:00Z")
        #expect(office.denial("one", "ledger", now: Self.at(12)) == nil)
        #expect(office.denial("gone", "ledger") == "agent `gone` is disabled")
        #expect(office.denial("nobody", "ledger") == "the mesh does not know one of them")
        #expect(try Demo.snapshot("").denial("one", "ledger") == "no policy permits it")
        #expect(
            try Demo.snapshot("forbid (principal, action, resource);").denial("one", "ledger")
                == "policy `policy0` (demo.cedar:1:1) forbids it")
    }

    @Test func `an explanation says what a packet cannot tell`() throws {
        let snapshot = try Demo.snapshot(
            """
            permit (principal, action, resource);
            forbid (principal, action, resource)
            when { context.flow.port == 22 };
            """)
        #expect(
            snapshot.explain("one", "ledger") == """
                denied: agent `one` may not connect to service `ledger`: a policy forbids it
                  by policy `policy1` (demo.cedar:2:1), which cannot be decided: line 3: packets tell a policy \
                `context.now` alone, not `context.flow`
                """)
    }

    @Test(arguments: 0..<40)
    func `the grants are what is decided at every moment until they end`(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let text = (0..<Int.random(in: 1...5, using: &random)).map { _ in Self.policy(&random) }.joined(separator: "\n")
        let snapshot = try Demo.snapshot(text)
        let now = Self.midnight + .milliseconds(Int.random(in: 0..<86_400_000, using: &random))
        let (agents, services) = (Demo.agents.map(\.name), Demo.services.map(\.name))
        let answer = snapshot.connectGrants(for: agents, services: services, now: now)
        for agent in agents {
            for service in services {
                let grant = answer.grants.first { $0.agent == agent && $0.service == service }
                let decision = snapshot.decide(agent: agent, action: .connect, service: service, now: now)
                #expect(decision.isAllowed == (grant != nil))
                if let grant { #expect(decision.policies == grant.policies) }
                for _ in 0..<10 {
                    let later = now + .milliseconds(Int.random(in: 0..<200_000_000, using: &random))
                    let then = snapshot.decide(agent: agent, action: .connect, service: service, now: later)
                    if let grant, grant.until.map({ later < $0 }) ?? true {
                        #expect(then.isAllowed, "\(text) \(later)")
                    }
                    if answer.nextChange.map({ later < $0 }) ?? true {
                        #expect(then.isAllowed == decision.isAllowed)
                        if then.isAllowed { #expect(then.policies == decision.policies) }
                    }
                }
            }
        }
    }

    private static func policy(_ random: inout SeededGenerator) -> String {
        let scopes = [
            "principal, action, resource", "principal in Group::\"research\", action, resource in Tag::\"prod\"",
        ]
        let times = ["context.now.toTime()", "context.now.durationSince(context.now.toDate())"]
        var conditions: [String] = []
        for _ in 0..<Int.random(in: 0...2, using: &random) {
            let relation = ["<", ">=", "<=", ">"].randomElement(using: &random)!
            let hour = Int.random(in: 0...24, using: &random)
            let body = "\(times.randomElement(using: &random)!) \(relation) duration(\"\(hour)h\")"
            conditions.append("\(Bool.random(using: &random) ? "when" : "unless") { \(body) }")
        }
        let effect = Int.random(in: 0..<4, using: &random) == 0 ? "forbid" : "permit"
        return "\(effect)(\(scopes.randomElement(using: &random)!)) \(conditions.joined(separator: " "));"
    }
}

extension PolicyReference {
    fileprivate init(id: String, _ line: Int, _ column: Int) {
        self.init(document: PolicyName(unchecked: "demo.cedar"), id: id, line: line, column: column)
    }
}
