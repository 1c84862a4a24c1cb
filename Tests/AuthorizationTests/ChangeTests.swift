import Authorization
import Mesh
import Testing

/// A snapshot that was made of the one before it says what one says that was made anew.
@Suite struct ChangeTests {
    @Test(arguments: 0..<20) func `after each of many changes the answers are those of a snapshot made anew`(
        seed: UInt64
    )
        throws
    {
        var world = World(seed: seed)
        var snapshot = try world.snapshot(after: nil)
        for step in 0..<40 {
            world.change()
            snapshot = try world.snapshot(after: snapshot)
            try #require(
                world.answers(snapshot) == world.answers(try world.snapshot(after: nil)),
                "seed \(seed), step \(step)")
        }
    }

    @Test func `an error leaves the snapshot before as it was`() throws {
        var world = World(seed: 1)
        let before = try world.snapshot(after: nil)
        let answers = world.answers(before)
        world.documents["a.cedar"] = "permit (principal, action, resource"
        #expect(throws: AuthorizationError.self) { try world.snapshot(after: before) }
        world.documents["a.cedar"] = nil
        world.twice = true
        #expect(throws: AuthorizationError.self) { try world.snapshot(after: before) }
        #expect(world.answers(before) == answers)
    }

    @Test func `what is the same is not read again`() throws {
        var documents = (0..<1000).map { number in
            PolicyDocument(
                name: PolicyName(unchecked: "p\(number).cedar"),
                text:
                    #"permit (principal == Agent::"one", action == Action::"connect", resource == Service::"ledger") "#
                    + "when { context.now >= datetime(\"2024-01-01\") && \(number) == \(number) };")
        }
        let whole = ContinuousClock().measure { _ = try? Demo.snapshot(documents) }
        let before = try Demo.snapshot(documents)
        documents[500] = PolicyDocument(name: documents[500].name, text: "forbid (principal, action, resource);")
        // Others compute beside this: the quickest of some is what it takes.
        let part =
            try (0..<5).map { _ in
                try ContinuousClock().measure {
                    let after = try PolicySnapshot(
                        policies: documents, agents: Demo.agents, services: Demo.services,
                        nodes: [NodeName(unchecked: "node-b")], after: before)
                    #expect(
                        after.reason("one", "ledger")
                            == .forbidden([PolicyReference("policy0", line: 1, document: "p500.cedar")]))
                }
            }.min() ?? whole
        #expect(part < whole / 2, "one changed in \(part), all read in \(whole)")
    }
}

/// A small mesh that changes at random, but repeatably.
private struct World {
    var random: SeededGenerator
    var documents: [String: String] = [:]
    var agents: [String: AgentDefinition] = [:]
    var services: [String: ServiceDefinition] = [:]
    /// Whether a service comes twice, which no map may have.
    var twice = false

    private static let agentNames = ["a", "a/b", "a/b/c", "d", "e/f"]
    private static let serviceNames = ["s", "t", "u"]
    private static let names = ["a.cedar", "b.cedar", "c.cedar"]

    init(seed: UInt64) {
        random = SeededGenerator(seed: seed)
        for _ in 0..<12 { change() }
    }

    func snapshot(after old: PolicySnapshot?) throws -> PolicySnapshot {
        let services = Array(services.values)
        return try PolicySnapshot(
            policies: documents.map { PolicyDocument(name: PolicyName(unchecked: $0.key), text: $0.value) },
            agents: agents.values, services: twice ? services + [Demo.service("s"), Demo.service("s")] : services,
            nodes: [NodeName(unchecked: "node-b")], after: old)
    }

    /// All that can be asked.
    func answers(_ snapshot: PolicySnapshot) -> [String] {
        Self.agentNames.flatMap { agent in
            Self.serviceNames.flatMap { service in
                ["\(snapshot.reason(agent, service))", snapshot.explain(agent, service)]
            }
        }
            + [
                "\(snapshot.grants(for: agents.values.map(\.name).sorted(), services: services.values.map(\.name).sorted()))"
            ]
    }

    mutating func change() {
        switch Int.random(in: 0..<6, using: &random) {
        case 0: documents[pick(Self.names)] = nil
        case 1, 2:
            documents[pick(Self.names)] = (0..<Int.random(in: 0..<5, using: &random)).map { _ in policy() }.joined()
        case 3: agents[pick(Self.agentNames)] = nil
        case 4:
            let name = pick(Self.agentNames)
            agents[name] = Demo.agent(name, groups: Bool.random(using: &random) ? ["g"] : [], disabled: chance(5))
        default:
            let name = pick(Self.serviceNames)
            services[name] = chance(3) ? nil : Demo.service(name, tags: Bool.random(using: &random) ? ["x"] : [])
        }
    }

    private mutating func policy() -> String {
        let effect = chance(4) ? "forbid" : "permit"
        let principal = pick([
            "principal", "principal in Agent::\"a\"", "principal == Agent::\"d\"", "principal in Group::\"g\"",
        ])
        let resource = pick(["resource", "resource == Service::\"s\"", "resource in Tag::\"x\""])
        let condition = pick([
            "", "when { principal.owner == User::\"ann@example.org\" }",
            "when { context.now < datetime(\"2030-01-01\") }",
            "unless { resource.node == Node::\"node-b\" }", "when { context.nothing }",
        ])
        return "\(effect) (\(principal), action, \(resource)) \(condition);\n"
    }

    private mutating func pick(_ options: [String]) -> String {
        options[Int.random(in: 0..<options.count, using: &random)]
    }
    private mutating func chance(_ of: Int) -> Bool { Int.random(in: 0..<of, using: &random) == 0 }
}
