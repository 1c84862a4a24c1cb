import Authorization
import Mesh

/// One mesh for every test: two agents, a crew, two services.
enum Demo {
    /// 2027-01-15T08:00:00Z, a Friday.
    static let now = Timestamp(rawValue: 1_800_000_000_000)

    static let agents = [
        agent("one", groups: ["research"]), agent("two"), agent("crew/writer"), agent("crew", groups: ["staff"]),
        agent("deep/er/one"), agent("gone", groups: ["research"], disabled: true), agent("gone/below"),
    ]
    static let services = [
        service("ledger", tags: ["prod", "money"]), service("wiki", tags: ["staging"]),
    ]

    static func snapshot(_ text: String, agents: [AgentDefinition] = agents) throws(AuthorizationError)
        -> PolicySnapshot
    {
        try snapshot([PolicyDocument(name: PolicyName(unchecked: "demo.cedar"), text: text)], agents: agents)
    }

    static func snapshot(
        _ documents: [PolicyDocument], agents: [AgentDefinition] = agents
    ) throws(AuthorizationError) -> PolicySnapshot {
        try PolicySnapshot(
            policies: documents, agents: agents, services: services, nodes: [NodeName(unchecked: "node-b")])
    }

    static func agent(_ name: String, groups: Set<String> = [], disabled: Bool = false) -> AgentDefinition {
        AgentDefinition(
            name: AgentName(unchecked: name), owner: UserName(unchecked: "ann@example.org"),
            groups: Set(groups.map(GroupName.init(unchecked:))), disabled: disabled)
    }

    static func service(_ name: String, tags: Set<String> = []) -> ServiceDefinition {
        ServiceDefinition(
            name: ServiceName(unchecked: name), node: NodeName(unchecked: "node-b"), protocol: .tcp,
            port: Port(rawValue: 8080)!, tags: Set(tags.map(TagName.init(unchecked:))))
    }
}

extension PolicySnapshot {
    func reason(
        _ agent: String, _ service: String, _ action: MeshAction = .connect, now: Timestamp? = Demo.now
    ) -> Decision.Reason {
        decide(
            agent: AgentName(unchecked: agent), action: action, service: ServiceName(unchecked: service), now: now
        ).reason
    }

    func explain(_ agent: String, _ service: String, now: Timestamp? = Demo.now) -> String {
        explain(
            agent: AgentName(unchecked: agent), action: .connect, service: ServiceName(unchecked: service), now: now)
    }
}

extension PolicySnapshot {
    func denial(_ agent: String, _ service: String, now: Timestamp? = Demo.now) -> String? {
        denial(
            agent: AgentName(unchecked: agent), action: .connect, service: ServiceName(unchecked: service), now: now)
    }

    func grants(for agents: [AgentName], services: [ServiceName]) -> [Grant] {
        connectGrants(for: agents, services: services, now: Demo.now).grants
    }
}

extension PolicyReference {
    init(_ id: String, line: Int, document: String = "demo.cedar") {
        self.init(document: PolicyName(unchecked: document), id: id, line: line, column: 1)
    }
}

/// Repeatable random numbers (SplitMix64), so that a failure can be run again from its seed.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
