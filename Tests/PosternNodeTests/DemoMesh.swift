import Authorization
import Datapath
import Mesh
import PosternNode
import Testing
import WireGuard

/// A mesh as a planner on node `a` sees it: nodes `a`, `b` and `c`, and what a test adds.
struct DemoMesh {
    static let moment = Timestamp(rawValue: 1_800_000_000_000)
    static let clock = ClockReading(utc: moment, boot: BootTime(rawValue: 5_000_000_000_000))
    static let own = NodeName(unchecked: "a")
    static let device = DeviceName.loopback

    var map: NetworkMap
    /// The sessions that node `a` runs.
    var local: [SessionID: LocalSession] = [:]
    let node: LocalNode
    private var lastPeer: UInt32 = 0

    init() throws {
        let pool = try #require(AddressPool(v4Base: IPv4Address(rawValue: 10 << 24), v6Prefix: 0xfd << 56 | 7))
        map = NetworkMap(
            mesh: MeshDomain(unchecked: "demo.internal"), pool: pool, version: 1, issuedAt: Self.moment,
            validUntil: Self.moment + .seconds(7200))
        node = LocalNode(name: Self.own, device: Self.device, key: try key(1), port: try port(51820))
        for name in ["a", "b", "c"] { try addNode(name) }
    }

    mutating func addNode(_ name: String) throws {
        let peer = try nextPeer()
        map.nodes[NodeName(unchecked: name)] = NetworkMap.Node(
            name: NodeName(unchecked: name), peer: peer, offset: try offset(of: peer),
            key: try key(peer.rawValue).publicKey, endpoints: [try endpoint(peer)])
    }

    mutating func addAgent(_ name: String, groups: Set<String> = [], disabled: Bool = false) {
        map.agents[AgentName(unchecked: name)] = AgentDefinition(
            name: AgentName(unchecked: name), owner: UserName(unchecked: "ann"),
            groups: Set(groups.map(GroupName.init(unchecked:))), nodes: Set(map.nodes.keys), disabled: disabled)
    }

    mutating func addService(_ name: String, on node: String, port number: UInt16, tags: Set<String> = []) throws {
        map.services[ServiceName(unchecked: name)] = ServiceDefinition(
            name: ServiceName(unchecked: name), node: NodeName(unchecked: node), protocol: .tcp,
            port: try port(number), tags: Set(tags.map(TagName.init(unchecked:))))
    }

    /// A session of an agent; one on node `a` is one that node `a` runs.
    @discardableResult
    mutating func addSession(
        of agent: String, on node: String, lasting: Duration = .seconds(3600)
    ) throws -> NetworkMap.Session {
        let peer = try nextPeer()
        let id = SessionID(unchecked: hex((0..<16).map { UInt8(truncatingIfNeeded: Int(peer.rawValue) * $0) }))
        let key = try key(peer.rawValue)
        let session = NetworkMap.Session(
            id: id, agent: AgentName(unchecked: agent), node: NodeName(unchecked: node), peer: peer,
            offset: try offset(of: peer), key: key.publicKey, endpoints: [try endpoint(peer)],
            expires: Self.moment + lasting, maximum: Self.moment + .seconds(8 * 3600))
        map.sessions[id] = session
        if session.node == Self.own {
            local[id] = LocalSession(
                id: id, agent: session.agent, device: try #require(DeviceName("s\(peer)")), key: key,
                port: try #require(session.endpoints.first).port)
        }
        return session
    }

    mutating func removeSession(_ id: SessionID) { (map.sessions[id], local[id]) = (nil, nil) }

    mutating func setPolicy(_ text: String) {
        let name = PolicyName(unchecked: "demo.cedar")
        map.policies[name] = PolicyDocument(name: name, text: text)
    }

    func snapshot() throws -> PolicySnapshot { try PolicySnapshot(map) }

    /// A plan of a planner that has planned nothing before.
    func plan(now: BootTime = clock.boot) throws -> Plan {
        var planner = Planner(node: node)
        return try plan(with: &planner, now: now)
    }

    func plan(with planner: inout Planner, now: BootTime = clock.boot) throws -> Plan {
        planner.plan(map: map, policy: try snapshot(), sessions: local, clock: Self.clock, now: now)
    }

    private mutating func nextPeer() throws -> PeerID {
        lastPeer += 1
        return try #require(PeerID(rawValue: lastPeer))
    }

    private func offset(of peer: PeerID) throws -> MeshOffset {
        try #require(MeshOffset(rawValue: 1000 + peer.rawValue))
    }

    private func endpoint(_ peer: PeerID) throws -> Endpoint {
        Endpoint(
            address: .v4(IPv4Address(rawValue: 192 << 24 | 2 << 8 | peer.rawValue & 0xff)),
            port: try port(UInt16(clamping: 40_000 + peer.rawValue)))
    }
}

/// Keys that differ where X25519 looks: it ignores some bits of the first byte and of the last.
func key(_ number: UInt32) throws -> WireGuardPrivateKey {
    let digits = (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * UInt32($0))) }
    return try #require(WireGuardPrivateKey(bytes: [0] + digits + [UInt8](repeating: 0, count: 27)))
}

func port(_ number: UInt16) throws -> Port { try #require(Port(rawValue: number)) }

extension TableSet {
    /// What the classifier would say of an opening packet: it reads the tables one after another, as this does.
    func opens(
        from source: MeshOffset, to destination: MeshOffset, port: Port?, at now: BootTime,
        _ transport: TransportProtocol = .tcp
    ) -> Bool {
        guard let caller = peers[source], let owner = peers[destination], caller.lease > now, owner.lease > now,
            rows[caller.slot] == caller.generation,
            let number = services[ServiceKey(slot: owner.slot, port: port, transport: transport)]
        else { return false }
        let cell = VerdictKey(slot: caller.slot, serviceClass: number)
        return verdicts[cell] == .allow || timed[cell].map { $0.verdict == .allow && $0.until > now } ?? false
    }
}

extension TableSet {
    /// Without what nodes may say to each other.
    var withoutLetters: TableSet {
        var tables = self
        let letters = services.filter { $0.key.port == Greeting.port }
        tables.services = services.filter { $0.key.port != Greeting.port }
        tables.verdicts = verdicts.filter { !letters.values.contains($0.key.serviceClass) }
        return tables
    }
}

extension Plan {
    func opens(_ session: NetworkMap.Session, _ service: String, of mesh: DemoMesh) -> Bool {
        guard let service = mesh.map.services[ServiceName(unchecked: service)], let node = mesh.map.nodes[service.node]
        else { return false }
        return tables.opens(from: session.offset, to: node.offset, port: service.port, at: DemoMesh.clock.boot)
    }
}
