import CoordinationAPI
import Mesh
import PosternCoordinator

/// A mesh in which each node has a service and an agent, and each agent may call the services of 20 nodes.
///
/// The nodes stand in blocks of ten. The agents of a block form a group; a policy lets it call the services of its own
/// block and of the next one.
struct SimulatedMesh {
    private var index: MapIndex
    private let count: Int
    private var version: UInt64 = 1
    /// What it took to build the index from all that is in the mesh.
    let indexing: Double

    static let policies = 1000
    private static let block = 10

    /// A mesh with at least so many policies: those beyond the blocks are about nobody.
    init(nodes count: Int, policies: Int = 0) throws {
        guard let pool = AddressPool(v4Base: IPv4Address(rawValue: 10 << 24), v6Prefix: 0xfd << 56) else {
            throw Impossible()
        }
        self.count = count
        var changes: [MapChange] = []
        for number in 0..<count {
            changes += [try Self.node(number), Self.agent(number), try Self.service(number, of: count)]
        }
        let blocks = count / Self.block
        changes += stride(from: 0, to: max(blocks, policies), by: 100).map { first in
            Self.document(first..<min(first + 100, max(blocks, policies)))
        }
        var index = MapIndex(mesh: MeshDomain(unchecked: "bench"), pool: pool)
        indexing = try cpuSeconds { _ = try index.apply(changes, version: 1) }
        self.index = index
    }

    private struct Impossible: Error {}

    /// Starts a session of one agent, makes what each node is told, and ends it again.
    mutating func startSession(_ round: Int) throws -> Cost {
        let number = round * 7 % count
        let id = SessionID(unchecked: "\(round)")
        let start = MapChange.session(id, try Self.session(number, id))
        let before = index.visits
        var (messages, bytes) = (0, 0)
        version += 1
        let seconds = try cpuSeconds {
            let delta = try index.apply([start], version: version)
            for node in delta.nodes.keys {
                let changes = index.changes(of: delta.items(for: node), for: node, from: version - 1)
                let event = MapEvent(
                    version: version, issuedAt: Timestamp(rawValue: 0), validUntil: Timestamp(rawValue: 0),
                    checkpoint: nil, content: .changes(changes))
                bytes += try JSON.encode(event).count
                messages += 1
            }
        }
        let visits = index.visits - before
        version += 1
        _ = try index.apply([.session(id, nil)], version: version)
        return Cost(visits: visits, messages: messages, bytes: bytes, seconds: seconds)
    }

    func countOfNodesInAllMaps() -> Int {
        (0..<count).reduce(0) { $0 + index.map(for: Self.name($1)).nodes.count }
    }

    private static func name(_ number: Int) -> NodeName { NodeName(unchecked: "node-\(number)") }

    private static func place(_ number: Int) throws -> (PeerID, MeshOffset) {
        guard let peer = PeerID(rawValue: UInt32(number + 1)), let offset = MeshOffset(rawValue: UInt32(number + 1))
        else { throw Impossible() }
        return (peer, offset)
    }

    /// As long as a real one.
    private static func envelope(_ name: String) -> Envelope {
        Envelope(document: name + String(repeating: "x", count: 600), signatures: [])
    }

    private static func node(_ number: Int) throws -> MapChange {
        let (peer, offset) = try place(number)
        let certificate = String(repeating: "c", count: 900)
        return .node(
            name(number),
            .init(peer: peer, offset: offset, certificate: certificate, statement: envelope(name(number).rawValue)))
    }

    private static func agent(_ number: Int) -> MapChange {
        let name = AgentName(unchecked: "agent-\(number)")
        let definition = AgentDefinition(
            name: name, owner: UserName(unchecked: "ann"), groups: [GroupName(unchecked: "group-\(number / block)")],
            nodes: [Self.name(number)])
        return .agent(name, .init(definition: definition, envelope: envelope(name.rawValue)))
    }

    private static func service(_ number: Int, of count: Int) throws -> MapChange {
        guard let port = Port(rawValue: 443) else { throw Impossible() }
        let (name, blocks) = (ServiceName(unchecked: "service-\(number)"), count / block)
        let tags = [number / block, (number / block + blocks - 1) % blocks].map { TagName(unchecked: "tag-\($0)") }
        let definition = ServiceDefinition(
            name: name, node: Self.name(number), protocol: .tcp, port: port, tags: Set(tags))
        return .service(name, .init(definition: definition, envelope: envelope(name.rawValue)))
    }

    private static func document(_ blocks: Range<Int>) -> MapChange {
        let text = blocks.map { block in
            "permit (principal in Group::\"group-\(block)\", action == Action::\"connect\", "
                + "resource in Tag::\"tag-\(block)\");"
        }
        let name = PolicyName(unchecked: "policies-\(blocks.lowerBound).cedar")
        let document = PolicyDocument(name: name, text: text.joined(separator: "\n"))
        return .policy(name, .init(document: document, envelope: Envelope(document: document.text, signatures: [])))
    }

    private static func session(_ number: Int, _ id: SessionID) throws -> MapContents.Session {
        let (peer, offset) = try place(number + 100_000)
        return MapContents.Session(
            agent: AgentName(unchecked: "agent-\(number)"), node: name(number),
            entry: .init(
                peer: peer, offset: offset, expires: Timestamp(rawValue: 1), maximum: Timestamp(rawValue: 2),
                statement: envelope(id.rawValue)))
    }
}
