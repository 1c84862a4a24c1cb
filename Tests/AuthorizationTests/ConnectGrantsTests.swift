import Authorization
import Mesh
import Testing

@Suite struct ConnectGrantsTests {
    private static let agents = (Demo.agents.map(\.name) + [AgentName(unchecked: "unknown")])
    private static let services = (Demo.services.map(\.name) + [ServiceName(unchecked: "unknown")])

    @Test func `a grant names the permits that give it`() throws {
        let snapshot = try Demo.snapshot(
            """
            @id("a") permit (principal in Group::"research", action == Action::"connect", resource);
            @id("b") permit (principal == Agent::"one", action, resource == Service::"ledger");
            forbid (principal, action, resource in Tag::"staging");
            permit (principal == Agent::"two", action == Action::"http:GET", resource);
            """)
        let (one, ledger) = (AgentName(unchecked: "one"), ServiceName(unchecked: "ledger"))
        let grant = Grant(
            agent: one, service: ledger, policies: [PolicyReference("a", line: 1), PolicyReference("b", line: 2)])
        #expect(snapshot.grants(for: Self.agents, services: Self.services) == [grant])
        #expect(snapshot.grants(for: [one, one], services: [ledger, ledger]) == [grant])
        #expect(snapshot.grants(for: [], services: Self.services).isEmpty)
        #expect(snapshot.grants(for: Self.agents, services: []).isEmpty)
    }

    @Test(arguments: 0..<200)
    func `the grants are what is decided for each pair`(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let text = (0..<Int.random(in: 0...12, using: &random)).map { _ in Self.policy(&random) }.joined(
            separator: "\n")
        let snapshot = try Demo.snapshot(text)
        var decided: [Grant] = []
        for agent in Self.agents.sorted() {
            for service in Self.services.sorted() {
                let decision = snapshot.decide(agent: agent, action: .connect, service: service, now: Demo.now)
                guard decision.isAllowed else { continue }
                decided.append(Grant(agent: agent, service: service, policies: decision.policies))
            }
        }
        #expect(snapshot.grants(for: Self.agents.shuffled(using: &random), services: Self.services) == decided)
    }

    private static func policy(_ random: inout SeededGenerator) -> String {
        let principals = [
            "", "is Agent", "== Agent::\"one\"", "== Agent::\"gone\"", "in Agent::\"crew\"", "in Group::\"research\"",
            "is Agent in Group::\"staff\"", "in Agent::\"deep/er\"", "is User", "== Group::\"research\"",
            "in Group::\"none\"",
        ]
        let actions = [
            "", "== Action::\"connect\"", "in [Action::\"read\", Action::\"connect\"]", "in Action::\"admin\"", "in []",
        ]
        let resources = [
            "", "is Service", "== Service::\"ledger\"", "in Tag::\"prod\"", "is Service in Tag::\"staging\"",
            "in Service::\"wiki\"",
            "== Tag::\"money\"", "is Agent",
        ]
        let effect = Int.random(in: 0..<4, using: &random) == 0 ? "forbid" : "permit"
        return "\(effect)(principal \(principals.randomElement(using: &random)!), "
            + "action \(actions.randomElement(using: &random)!), resource \(resources.randomElement(using: &random)!));"
    }
}
