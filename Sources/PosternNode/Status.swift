import CoordinationAPI
import Mesh
import Sandbox
import WireGuard

extension Node {
    /// What stands on this machine, as the kernel and WireGuard say, beside what the map says.
    func status() throws(NodeError) -> NodeStatus {
        let own = map?.nodes[local.name]
        let pool = membership.pool
        return NodeStatus(
            mesh: membership.mesh, node: local.name, isDown: isDown,
            address: own.map { pool.ipv4(at: $0.offset).description } ?? "",
            address6: own.map { pool.ipv6(at: $0.offset).description } ?? "",
            pool: pool.v4Text, mapVersion: map?.version, mapIssuedAt: map?.issuedAt, mapValidUntil: map?.validUntil,
            coordinatorURL: membership.url, coordinatorError: coordinatorError, devices: devices(),
            sessions: (sessions.values.map(summary) + cut.values.map(summary)).sorted { $0.id < $1.id },
            packets: packetCounts(),
            suppressedEvents: suppressedEvents,
            problems: standingProblems + problems.map(\.text) + drift + leftOut)
    }

    private func devices() -> [NodeStatus.Device] {
        let names = peerNames()
        return plan.devices.sorted { $0.key.rawValue < $1.key.rawValue }.map { name, device in
            let state = state(of: name)
            let session: SessionID? = if case .session(let id) = device.owner { id } else { nil }
            let peers = (state?.peers ?? [:]).map { key, peer in
                NodeStatus.Peer(
                    name: names[key] ?? "unknown",
                    address: peer.allowedIPs.map(\.description).sorted().joined(separator: ", "), key: key,
                    endpoint: peer.endpoint?.description, lastHandshake: peer.lastHandshake,
                    received: peer.receivedBytes, sent: peer.sentBytes)
            }
            return NodeStatus.Device(
                name: name.rawValue, session: session, listenPort: state?.listenPort?.rawValue ?? 0,
                classifierAttached: isGuarded(name), peers: peers.sorted { $0.name < $1.name })
        }
    }

    private func peerNames() -> [WireGuardPublicKey: String] {
        guard let map else { return [:] }
        let nodes = map.nodes.values.map { ($0.key, "node \($0.name)") }
        let sessions = map.sessions.values.map { ($0.key, "agent \($0.agent) on \($0.node)") }
        return Dictionary(nodes + sessions, uniquingKeysWith: { first, _ in first })
    }

    private func summary(of session: LiveSession) -> NodeStatus.Session {
        let known = map?.sessions[session.local.id]
        return NodeStatus.Session(
            id: session.local.id, agent: session.local.agent,
            address: known.map { membership.pool.ipv4(at: $0.offset).description } ?? "",
            device: session.local.device.rawValue, expires: known?.expires, maximum: known?.maximum,
            processID: session.process?.pid, owner: session.owner, person: known?.person)
    }
}
