import Authorization
import CoordinationAPI
import Foundation
import Mesh
import PosternCoordinator

/// The seeds of this run: 20 of them, or as many as POSTERN_SEEDS says.
let seeds = UInt64(1)...max(1, ProcessInfo.processInfo.environment["POSTERN_SEEDS"].flatMap { UInt64($0) } ?? 20)

/// A small mesh that changes at random, by a seed. Nothing in it is signed: the index does not look.
struct RandomMesh {
    var index: MapIndex
    private var generator: SplitMix
    private var next: UInt32 = 1

    private static let nodes = (0..<6).map { NodeName(unchecked: "n\($0)") }
    private static let agents = ["a", "b", "crew", "crew/a", "crew/b", "crew/b/c", "d"].map(AgentName.init(unchecked:))
    private static let services = (0..<5).map { ServiceName(unchecked: "s\($0)") }
    private static let groups = ["g", "h"]
    private static let tags = ["t", "u"]

    init(seed: UInt64) {
        generator = SplitMix(state: seed)
        guard let pool = AddressPool(v4Base: IPv4Address(rawValue: 10 << 24), v6Prefix: 0xfd << 56) else {
            preconditionFailure("10.0.0.0/14 is a pool")
        }
        index = MapIndex(mesh: MeshDomain(unchecked: "test"), pool: pool)
    }

    /// The maps of all nodes, by the straightforward way and the grants that policy gives at no particular time.
    func wholeMaps() throws -> [NodeName: MapMessage] {
        let contents = index.contents
        let snapshot = try PolicySnapshot(
            policies: contents.policies.values.map(\.document),
            agents: contents.agents.values.map { agent in
                var definition = agent.definition
                definition.disabled = false
                return definition
            },
            services: contents.services.values.map(\.definition), nodes: contents.nodes.keys)
        let grants = snapshot.connectGrants(
            for: contents.agents.keys, services: contents.services.keys, now: nil
        ).grants
        let pairs = Set(grants.map { [$0.agent.rawValue, $0.service.rawValue] })
        return Dictionary(
            uniqueKeysWithValues: contents.nodes.keys.map { node in
                let items = contents.items(for: node) { pairs.contains([$0.rawValue, $1.rawValue]) }
                return (node, contents.map(of: items, version: index.version))
            })
    }

    /// Some changes of one version, as the registry may make them.
    mutating func changes(rejoins: Bool = true) -> [MapChange] {
        (0..<Int.random(in: 1...3, using: &generator)).map { _ in change(rejoins: rejoins) }
    }

    private mutating func change(rejoins: Bool) -> MapChange {
        switch Int.random(in: 0..<12, using: &generator) {
        case 0: return node(pick(Self.nodes))
        case 1 where rejoins: return .node(pick(Self.nodes), nil)
        case 2, 3: return agent(pick(Self.agents), nodes: Set(some(Self.nodes)), groups: some(Self.groups))
        case 4: return .agent(pick(Self.agents), nil)
        case 5: return service(pick(Self.services), on: pick(Self.nodes), tags: some(Self.tags))
        case 6: return .service(pick(Self.services), nil)
        case 7: return policy(pick(["p", "q"]), (0..<3).map { _ in randomPolicy() }.joined(separator: "\n"))
        case 8: return .policy(PolicyName(unchecked: pick(["p", "q"])), nil)
        case 9:
            guard let id = index.contents.sessions.keys.sorted().randomElement(using: &generator) else { fallthrough }
            return .session(id, nil)
        case 10:
            guard let old = index.contents.sessions.sorted(by: { $0.key < $1.key }).randomElement(using: &generator)
            else { fallthrough }
            let entry = old.value.entry
            let renewed = MapMessage.SessionEntry(
                peer: entry.peer, offset: entry.offset, expires: entry.expires + .seconds(1), maximum: entry.maximum,
                statement: entry.statement)
            return .session(old.key, .init(agent: old.value.agent, node: old.value.node, entry: renewed))
        default: return session(of: pick(Self.agents), on: pick(Self.nodes)).change
        }
    }

    mutating func node(_ name: NodeName) -> MapChange {
        let (peer, offset) = place()
        return .node(
            name,
            MapMessage.NodeEntry(
                peer: peer, offset: offset, certificate: "\(peer)",
                statement: Envelope(document: name.rawValue, signatures: [])))
    }

    mutating func agent(_ name: AgentName, nodes: Set<NodeName>, groups: [String]) -> MapChange {
        let definition = AgentDefinition(
            name: name, owner: UserName(unchecked: "ann"), groups: Set(groups.map(GroupName.init(unchecked:))),
            nodes: nodes, disabled: Int.random(in: 0..<5, using: &generator) == 0)
        return .agent(name, .init(definition: definition, envelope: envelope("agent", name.rawValue)))
    }

    mutating func service(_ name: ServiceName, on node: NodeName, tags: [String]) -> MapChange {
        guard let port = Port(rawValue: 80) else { preconditionFailure("80 is a port") }
        let definition = ServiceDefinition(
            name: name, node: node, protocol: .tcp, port: port, tags: Set(tags.map(TagName.init(unchecked:))))
        return .service(name, .init(definition: definition, envelope: envelope("service", name.rawValue)))
    }

    mutating func policy(_ name: String, _ text: String) -> MapChange {
        let name = PolicyName(unchecked: name)
        return .policy(
            name,
            .init(document: PolicyDocument(name: name, text: text), envelope: envelope("policy", name.rawValue)))
    }

    mutating func session(of agent: AgentName, on node: NodeName) -> (id: SessionID, change: MapChange) {
        let (peer, offset) = place()
        let id = SessionID.random(using: &generator)
        let entry = MapMessage.SessionEntry(
            peer: peer, offset: offset, expires: Timestamp(rawValue: 1), maximum: Timestamp(rawValue: 2),
            statement: Envelope(document: id.rawValue, signatures: []))
        return (id, .session(id, .init(agent: agent, node: node, entry: entry)))
    }

    /// `kind name number`: another one each time.
    private mutating func envelope(_ kind: String, _ name: String) -> Envelope {
        next += 1
        return Envelope(document: "\(kind) \(name) \(next)", signatures: [])
    }

    static func entry(_ envelope: Envelope) throws -> Entry {
        let parts = envelope.document.split(separator: " ").map(String.init)
        switch parts[0] {
        case "agent": return .agent(try AgentName(parts[1]))
        case "service": return .service(try ServiceName(parts[1]))
        default: return .policy(try PolicyName(parts[1]))
        }
    }

    static func order(_ entry: Entry) -> (Int, String) {
        (["policy", "agent", "service"].firstIndex(of: entry.kind) ?? 0, entry.name)
    }

    private mutating func place() -> (PeerID, MeshOffset) {
        next += 1
        guard let peer = PeerID(rawValue: next), let offset = MeshOffset(rawValue: next) else {
            preconditionFailure("a small number is a peer and an offset")
        }
        return (peer, offset)
    }

    private mutating func randomPolicy() -> String {
        let principals = [
            "", "== Agent::\"a\"", "in Agent::\"crew\"", "in Agent::\"crew/b\"", "in Group::\"g\"",
            "is Agent in Group::\"h\"", "is Agent", "== Group::\"g\"", "is User",
        ]
        let resources = [
            "", "== Service::\"s1\"", "== Service::\"s2\"", "in Tag::\"t\"", "is Service in Tag::\"u\"", "is Service",
            "is Agent",
        ]
        let effect = pick(["permit", "permit", "forbid"])
        let action = pick(["", "== Action::\"connect\"", "in Action::\"admin\""])
        return "\(effect) (principal \(pick(principals)), action \(action), resource \(pick(resources)));"
    }

    private mutating func pick<Element>(_ elements: [Element]) -> Element {
        elements[Int.random(in: 0..<elements.count, using: &generator)]
    }

    private mutating func some<Element>(_ elements: [Element]) -> [Element] {
        elements.filter { _ in Bool.random(using: &generator) }
    }
}

/// A small generator whose numbers depend on its seed alone.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
