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
    /// Changes when its WireGuard key does.
    package var node: LocalNode
    /// Stays from plan to plan, so that an update touches only what changed.
    package private(set) var numbering: Numbering
    /// What policy says is asked again only where it may be otherwise.
    private var known = KnownGrants()
    /// By which endpoint each peer is tried.
    package var endpoints = EndpointChoice()
    /// Nodes that must hear from this one whether or not they share a session with it: of the end of the last one.
    package var correspondents: Set<NodeName> = []
    private let keepalive: Keepalive

    package init(node: LocalNode, numbering: Numbering = Numbering(), keepalive: Keepalive = .automatic) {
        (self.node, self.numbering, self.keepalive) = (node, numbering, keepalive)
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
        let granted = known.grants(in: map, by: policy, now: isTimeKnown ? clock.utc(at: now) : nil)
        let view = PlanView(map: map, own: own, local: sessions, grants: granted.grants, correspondents: correspondents)
        do {
            try numbering.assign(peers: view.peers, sockets: view.sockets)
            var problems = view.problems
            if policy == nil { problems.append("the policies cannot be read: nothing may pass") }
            var plan = try plan(view, sessions: sessions, clock: clock, problems: problems)
            plan.nextChange = granted.nextChange.map(clock.bootTime)
            return plan
        } catch { return .nothing(because: "\(error)") }
    }

    private func plan(
        _ view: PlanView, sessions: [SessionID: LocalSession], clock: ClockReading, problems: [String]
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
    private func tables(of view: PlanView, clock: ClockReading) -> TableSet {
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
        for (opening, end) in view.openings {
            guard let slot = numbering.slots[opening.initiator], let number = numbering.classes[opening.socket] else {
                continue
            }
            let key = VerdictKey(slot: slot, serviceClass: number)
            if let end {
                // The kernel ends it on time, whatever becomes of us.
                tables.timed[key] = TimedGrant(
                    until: clock.bootTime(of: end.moment), verdict: .allow, policy: end.policy?.number ?? 0)
            } else {
                tables.verdicts[key] = .allow
            }
        }
        return tables
    }
}

// MARK: - Devices

extension Planner {
    private func nodeDevice(_ view: PlanView) throws -> DevicePlan {
        var peers: [WireGuardPublicKey: PeerConfiguration] = [:]
        for session in view.callers {
            // A session speaks first, and where it speaks from is what counts: it may be behind a NAT, or roam.
            peers[session.key] = peer(at: session.offset, endpoint: nil, pool: view.map.pool)
        }
        for other in view.neighbours {
            peers[other.key] = peer(at: other.offset, endpoint: place(of: other, on: node.device), pool: view.map.pool)
        }
        return DevicePlan(
            owner: .node,
            configuration: try DeviceConfiguration(privateKey: node.key, listenPort: node.port, peers: peers),
            identity: try identity(.node, view.own.peer, view.own.offset, view.map.pool))
    }

    private func device(
        of session: NetworkMap.Session, _ local: LocalSession, _ view: PlanView
    ) throws -> DevicePlan {
        var peers: [WireGuardPublicKey: PeerConfiguration] = [:]
        for name in view.grantedNodes(of: session.agent) {
            guard let node = view.map.nodes[name] else { continue }
            let place = place(of: node, on: local.device)
            var configuration = peer(at: node.offset, endpoint: place, pool: view.map.pool)
            // What the far node sends after a silence must still find the way in. Nodes among themselves need none: who
            // has something to say to the other speaks first.
            configuration.keepalive = place.flatMap { keepalive.interval(towards: $0, from: endpoints.underlay) }
            peers[node.key] = configuration
        }
        return DevicePlan(
            owner: .session(session.id),
            configuration: try DeviceConfiguration(privateKey: local.key, listenPort: local.port, peers: peers),
            identity: try identity(.session, session.peer, session.offset, view.map.pool))
    }

    private func place(of node: NetworkMap.Node, on device: DeviceName) -> Endpoint? {
        endpoints.endpoint(of: .init(device: device, key: node.key), offering: node.endpoints)
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

extension Plan {
    /// The plan that closes everything, and says why.
    static func nothing(because reason: String) -> Plan {
        var plan = Plan.empty
        plan.problems = [reason]
        return plan
    }
}
