package import Authorization
package import Datapath
package import Mesh
import WireGuard

/// Decides what this machine should be, from the map and its own sessions: no I/O, no clock.
///
///     map ─┬─ policies, agents, services ─> grants ─┐
///          └─ nodes, sessions ──────────────────────┼─> peers ─> numbers ─> devices + tables
///     sessions of this machine ─────────────────────┘
///
/// Whatever is missing or does not fit means that there is less in the plan, never more.
package struct Planner: Sendable {
    package let node: LocalNode
    /// Stays from plan to plan, so that an update touches only what changed.
    package private(set) var numbering: Numbering

    package init(node: LocalNode, numbering: Numbering = Numbering()) {
        (self.node, self.numbering) = (node, numbering)
    }

    /// The plan for a map at a moment. A map that has run out, or that does not hold this node, plans nothing.
    package mutating func plan(
        map: NetworkMap?, policy: PolicySnapshot?, sessions: [SessionID: LocalSession], clock: ClockReading,
        now: BootTime, isTimeKnown: Bool = true
    ) -> Plan {
        guard let map, clock.bootTime(of: map.validUntil) > now else {
            return .nothing(because: "there is no map of the mesh, or the last one has run out: nothing may pass")
        }
        guard let own = map.nodes[node.name] else {
            return .nothing(because: "the mesh does not know node `\(node.name)`: nothing may pass")
        }
        guard own.key == node.key.publicKey else {
            return .nothing(because: "the mesh knows node `\(node.name)` by another WireGuard key: nothing may pass")
        }
        let granted = grants(in: map, by: policy, now: isTimeKnown ? clock.utc(at: now) : nil)
        let view = View(map: map, own: own, local: sessions, grants: granted.grants)
        do {
            try numbering.assign(peers: view.peers, sockets: view.sockets)
            var plan = try plan(view, sessions: sessions, clock: clock, problems: policy == nil ? [View.noPolicy] : [])
            plan.nextChange = granted.nextChange.map(clock.bootTime)
            return plan
        } catch { return .nothing(because: "\(error)") }
    }

    private func grants(in map: NetworkMap, by policy: PolicySnapshot?, now: Timestamp?) -> ConnectGrants {
        guard let policy else { return .none }
        let agents = Set(map.sessions.values.map(\.agent))
        return policy.connectGrants(for: agents.sorted(), services: map.services.keys.sorted(), now: now)
    }

    private func plan(
        _ view: View, sessions: [SessionID: LocalSession], clock: ClockReading, problems: [String]
    ) throws -> Plan {
        var plan = Plan.empty
        plan.problems = problems
        plan.tables = tables(of: view, clock: clock)
        plan.devices[node.device] = try nodeDevice(view)
        for (id, local) in sessions.sorted(by: { $0.key < $1.key }) {
            guard let session = view.localSessions[id] else {
                if view.map.sessions[id] != nil {
                    plan.problems.append("the map holds another session in the place of \(id)")
                }
                continue
            }
            plan.devices[local.device] = try device(of: session, local, view)
            plan.grantedNodes[id] = view.grantedNodes(of: session.agent)
        }
        return plan
    }
}

// MARK: - Tables

extension Planner {
    private func tables(of view: View, clock: ClockReading) -> TableSet {
        var tables = TableSet()
        for peer in view.placed {
            guard let slot = numbering.slots[peer.id], let generation = Generation(rawValue: peer.id.rawValue) else {
                continue
            }
            tables.peers[peer.offset] = PeerEntry(
                slot: slot, generation: generation, lease: clock.bootTime(of: peer.deadline))
            tables.rows[slot] = generation
        }
        for (socket, number) in numbering.classes {
            guard let slot = numbering.slots[socket.peer] else { continue }
            tables.services[ServiceKey(slot: slot, port: socket.port, transport: socket.transport)] = number
        }
        for opening in view.openings {
            guard let slot = numbering.slots[opening.initiator], let number = numbering.classes[opening.socket] else {
                continue
            }
            tables.verdicts[VerdictKey(slot: slot, serviceClass: number)] = .allow
        }
        return tables
    }
}

// MARK: - Devices

extension Planner {
    private func nodeDevice(_ view: View) throws -> DevicePlan {
        var peers: [WireGuardPublicKey: PeerConfiguration] = [:]
        for session in view.callers {
            // A session speaks first, and where it speaks from is what counts: it may be behind a NAT, or roam.
            peers[session.key] = peer(at: session.offset, endpoint: nil, pool: view.map.pool)
        }
        return DevicePlan(
            owner: .node,
            configuration: try DeviceConfiguration(privateKey: node.key, listenPort: node.port, peers: peers),
            identity: try identity(.node, view.own.peer, view.own.offset, view.map.pool))
    }

    private func device(
        of session: NetworkMap.Session, _ local: LocalSession, _ view: View
    ) throws -> DevicePlan {
        var peers: [WireGuardPublicKey: PeerConfiguration] = [:]
        for name in view.grantedNodes(of: session.agent) {
            guard let node = view.map.nodes[name] else { continue }
            peers[node.key] = peer(at: node.offset, endpoint: node.endpoints.first, pool: view.map.pool)
        }
        return DevicePlan(
            owner: .session(session.id),
            configuration: try DeviceConfiguration(privateKey: local.key, listenPort: local.port, peers: peers),
            identity: try identity(.session, session.peer, session.offset, view.map.pool))
    }

    private func peer(at offset: MeshOffset, endpoint: Endpoint?, pool: AddressPool) -> PeerConfiguration {
        PeerConfiguration(
            allowedIPs: [.host(pool.ipv4(at: offset)), .host(pool.ipv6(at: offset))], endpoint: endpoint)
    }

    private func identity(
        _ kind: DeviceIdentity.Kind, _ peer: PeerID, _ offset: MeshOffset, _ pool: AddressPool
    ) throws(NodeError) -> DeviceIdentity {
        guard let slot = numbering.slots[peer], let generation = Generation(rawValue: peer.rawValue) else {
            throw NodeError("peer \(peer) has no slot")
        }
        return DeviceIdentity(kind: kind, slot: slot, generation: generation, offset: offset, pool: pool)
    }
}

// MARK: - What of the map concerns this node

/// The part of the map that this node acts on.
private struct View {
    static let noPolicy = "the policies cannot be read: nothing may pass"

    struct Placed {
        let id: PeerID
        let offset: MeshOffset
        let deadline: Timestamp
    }

    struct Opening: Hashable {
        let initiator: PeerID
        let socket: Numbering.Socket
    }

    let map: NetworkMap
    let own: NetworkMap.Node
    /// Sessions that this machine runs and that the mesh knows as it does: the same agent, the same key.
    let localSessions: [SessionID: NetworkMap.Session]
    /// Sessions, from anywhere, that may open something on this node.
    let callers: [NetworkMap.Session]
    let openings: Set<Opening>

    private let granted: [AgentName: Set<ServiceName>]

    init(map: NetworkMap, own: NetworkMap.Node, local: [SessionID: LocalSession], grants: [Grant]) {
        (self.map, self.own) = (map, own)
        let granted = Dictionary(grouping: grants, by: \.agent).mapValues {
            Self.reachable(Set($0.map(\.service)), in: map)
        }
        self.granted = granted
        let localSessions = map.sessions.filter { id, session in
            session.node == own.name && local[id]?.agent == session.agent
                && local[id]?.key.publicKey == session.key
        }
        self.localSessions = localSessions
        // What is said to run here and does not is left over from an earlier life of this node.
        let live = map.sessions.values.filter { $0.node != own.name || localSessions[$0.id] != nil }
        callers = live.filter { session in
            granted[session.agent, default: []].contains { map.services[$0]?.node == own.name }
        }
        // What a session of another node may open elsewhere is the business of others.
        openings = Set(
            live.flatMap { session in
                granted[session.agent, default: []].compactMap { name in
                    guard localSessions[session.id] != nil || map.services[name]?.node == own.name else { return nil }
                    return Self.socket(of: name, in: map).map { Opening(initiator: session.peer, socket: $0) }
                }
            })
    }

    /// Where several services share a port the classifier cannot tell them apart: all must be granted, or none is.
    private static func reachable(_ services: Set<ServiceName>, in map: NetworkMap) -> Set<ServiceName> {
        services.filter { name in
            guard let socket = socket(of: name, in: map) else { return false }
            return map.services.keys.allSatisfy { Self.socket(of: $0, in: map) != socket || services.contains($0) }
        }
    }

    private static func socket(of name: ServiceName, in map: NetworkMap) -> Numbering.Socket? {
        guard let service = map.services[name], let node = map.nodes[service.node] else { return nil }
        switch service.protocol {
        case .tcp: return Numbering.Socket(peer: node.peer, transport: .tcp, port: service.port)
        case .udp: return Numbering.Socket(peer: node.peer, transport: .udp, port: service.port)
        }
    }

    func grantedNodes(of agent: AgentName) -> Set<NodeName> {
        Set(granted[agent, default: []].compactMap { map.services[$0]?.node })
    }

    var sockets: Set<Numbering.Socket> { Set(openings.map(\.socket)) }

    /// Every peer that may stand in a packet that this node lets pass.
    var placed: [Placed] {
        let sessions = Dictionary(
            (callers + localSessions.values).map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first }
        ).values
        let names = Set(localSessions.values.flatMap { grantedNodes(of: $0.agent) }).union([own.name])
        let nodes = names.compactMap { map.nodes[$0] }
        return sessions.map { Placed(id: $0.peer, offset: $0.offset, deadline: min($0.expires, map.validUntil)) }
            + nodes.map { Placed(id: $0.peer, offset: $0.offset, deadline: map.validUntil) }
    }

    var peers: Set<PeerID> { Set(placed.map(\.id)) }
}

extension Plan {
    /// The plan that closes everything, and says why.
    static func nothing(because reason: String) -> Plan {
        var plan = Plan.empty
        plan.problems = [reason]
        return plan
    }
}
