import Authorization
package import Mesh
import WireGuard

/// The part of the map that this node acts on.
struct PlanView {
    struct Placed {
        let id: PeerID
        let offset: MeshOffset
        let deadline: Timestamp
    }

    struct Opening: Hashable {
        let initiator: PeerID
        let socket: Numbering.Socket
    }

    /// When a grant ends, and by which policy.
    struct End: Equatable {
        let moment: Timestamp
        let policy: PolicyReference?
    }

    /// Services of an agent, each with the end of its grant; nil where time does not end it.
    private typealias Reach = [ServiceName: End?]

    let map: NetworkMap
    let own: NetworkMap.Node
    /// Sessions that this machine runs and that the mesh knows as it does: the same agent, the same key.
    let localSessions: [SessionID: NetworkMap.Session]
    /// Sessions, from anywhere, that may open something on this node.
    let callers: [NetworkMap.Session]
    /// Nodes that share a granted session with this one, or did until it ended a moment ago. Nodes tell each other of their sessions, at a port of their
    /// own, when the coordinator is away.
    let neighbours: [NetworkMap.Node]
    /// Who may open what, and until when; nil where time does not end it.
    let openings: [Opening: End?]
    private(set) var problems: [String] = []

    private let reach: [AgentName: Reach]

    init(
        map: NetworkMap, own: NetworkMap.Node, local: [SessionID: LocalSession], grants: [Grant],
        correspondents: Set<NodeName> = []
    ) {
        (self.map, self.own) = (map, own)
        let sockets = Sockets(map)
        let reach = Dictionary(grouping: grants, by: \.agent).mapValues { sockets.reach($0) }
        self.reach = reach
        problems = sockets.problems
        let localSessions = map.sessions.filter { id, session in
            session.node == own.name && local[id]?.agent == session.agent && local[id]?.has(session.key) == true
        }
        self.localSessions = localSessions
        // What is said to run here and does not is left over from an earlier life of this node.
        let live = map.sessions.values.filter { $0.node != own.name || localSessions[$0.id] != nil }
        callers = live.filter { session in
            reach[session.agent, default: [:]].keys.contains { map.services[$0]?.node == own.name }
        }
        let near = correspondents.union(callers.map(\.node)).union(
            localSessions.values.flatMap { reach[$0.agent, default: [:]].keys.compactMap { map.services[$0]?.node } })
        neighbours = near.subtracting([own.name]).sorted().compactMap { map.nodes[$0] }
        // What a session of another node may open elsewhere is the business of others.
        var openings: [Opening: End?] = [:]
        for session in live {
            for (name, end) in reach[session.agent, default: [:]] {
                guard localSessions[session.id] != nil || map.services[name]?.node == own.name,
                    let socket = sockets.byName[name]
                else { continue }
                // Services that share a port end together, with the first of them.
                openings.note(Opening(initiator: session.peer, socket: socket), end: end)
            }
        }
        for other in neighbours {
            openings.note(Opening(initiator: own.peer, socket: .letters(of: other)), end: nil)
            openings.note(Opening(initiator: other.peer, socket: .letters(of: own)), end: nil)
        }
        self.openings = openings
    }

    func grantedNodes(of agent: AgentName) -> Set<NodeName> {
        Set(reach[agent, default: [:]].keys.compactMap { map.services[$0]?.node })
    }

    var sockets: Set<Numbering.Socket> { Set(openings.keys.map(\.socket)) }

    /// Every peer that may stand in a packet that this node lets pass.
    var placed: [Placed] {
        let sessions = Dictionary(
            (callers + localSessions.values).map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first }
        ).values
        return sessions.map { Placed(id: $0.peer, offset: $0.offset, deadline: min($0.expires, map.validUntil)) }
            + (neighbours + [own]).map { Placed(id: $0.peer, offset: $0.offset, deadline: map.validUntil) }
    }

    var peers: Set<PeerID> { Set(placed.map(\.id)) }
}

/// Where the services of a map listen.
private struct Sockets {
    private(set) var byName: [ServiceName: Numbering.Socket] = [:]
    private var names: [Numbering.Socket: Set<ServiceName>] = [:]
    private(set) var problems: [String] = []

    init(_ map: NetworkMap) {
        for (name, service) in map.services {
            guard let node = map.nodes[service.node] else { continue }
            let socket = Numbering.Socket(service, on: node)
            guard socket != .letters(of: node) else {
                problems.append("service `\(name)` is at a port that nodes keep for themselves: nobody may reach it")
                continue
            }
            byName[name] = socket
            names[socket, default: []].insert(name)
        }
        problems.sort()
    }

    /// Where several services share a port the classifier cannot tell them apart: all must be granted, or none is.
    func reach(_ grants: [Grant]) -> [ServiceName: PlanView.End?] {
        let granted = Set(grants.map(\.service))
        let reachable = grants.filter { grant in
            guard let socket = byName[grant.service] else { return false }
            return names[socket, default: []].isSubset(of: granted)
        }
        let ends = reachable.map { grant in
            (grant.service, grant.until.map { PlanView.End(moment: $0, policy: grant.policies.first) })
        }
        return Dictionary(ends, uniquingKeysWith: { first, _ in first })
    }
}

extension Numbering.Socket {
    fileprivate init(_ service: ServiceDefinition, on node: NetworkMap.Node) {
        self.init(peer: node.peer, transport: service.protocol.transport, port: service.port)
    }

    /// Where a node hears from others.
    static func letters(of node: NetworkMap.Node) -> Numbering.Socket {
        Numbering.Socket(peer: node.peer, transport: .udp, port: Greeting.port)
    }
}

extension [PlanView.Opening: PlanView.End?] {
    fileprivate mutating func note(_ opening: PlanView.Opening, end: PlanView.End?) {
        guard let before = self[opening] else {
            self[opening] = .some(end)
            return
        }
        self[opening] = .some([before, end].compactMap(\.self).min(by: <))
    }
}

extension PlanView.End {
    /// Of two that end together one is told of, always the same.
    fileprivate static func < (left: Self, right: Self) -> Bool {
        (left.moment, left.policy?.number ?? 0) < (right.moment, right.policy?.number ?? 0)
    }
}

extension PolicyReference {
    /// The policy's number in the tables, by which events name it: of the same policy always the same, and never 0.
    package var number: UInt32 {
        // FNV-1a.
        let hash = "\(document)\n\(id)".utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
        return max(1, hash)
    }
}
