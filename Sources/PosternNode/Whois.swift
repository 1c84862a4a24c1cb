import CoordinationAPI
import Mesh
import WireGuard

/// Finds who has an address of the mesh, or bears a name.
///
/// A name may mean several: that of an agent means its sessions, that of a service its node.
struct Whois {
    let map: NetworkMap

    /// Empty when nobody of this node's map is meant.
    func peers(named text: String) -> [PeerReport] {
        if let offset = offset(text) { return at(offset) }
        let names = MeshNames(map: map)
        let nodes = names.nodes(meantBy: text).compactMap { map.nodes[$0] }.map(report)
        return nodes + sessions(named: text)
    }

    func report(_ node: NetworkMap.Node) -> PeerReport {
        PeerReport(
            kind: .node, node: node.name, addresses: addresses(node.offset), key: node.key,
            endpoints: node.endpoints.map(\.description),
            services: map.services.values.filter { $0.node == node.name }.map(\.name).sorted())
    }

    func report(_ session: NetworkMap.Session) -> PeerReport {
        PeerReport(
            kind: .session, node: session.node, addresses: addresses(session.offset), key: session.key,
            endpoints: session.endpoints.map(\.description), session: session.id, agent: session.agent,
            owner: map.agents[session.agent]?.owner, until: session.expires)
    }

    private func at(_ offset: MeshOffset) -> [PeerReport] {
        map.nodes.values.filter { $0.offset == offset }.map(report)
            + map.sessions.values.filter { $0.offset == offset }.map(report)
    }

    private func sessions(named text: String) -> [PeerReport] {
        map.sessions.values.filter { $0.id.rawValue == text || $0.agent.rawValue == text }
            .sorted { $0.id < $1.id }.map(report)
    }

    private func addresses(_ offset: MeshOffset) -> [String] {
        [map.pool.ipv4(at: offset).description, map.pool.ipv6(at: offset).description]
    }

    /// The place in the pool of an address as people write it.
    private func offset(_ text: String) -> MeshOffset? {
        switch IPAddress(text) {
        case .v4(let address): map.pool.offset(of: address)
        case .v6(let address): map.pool.offset(of: address)
        case nil: nil
        }
    }
}

extension Node {
    /// What is known here of whoever is meant, with what the tunnels of this machine saw of them.
    func whois(_ text: String) throws(NodeError) -> [PeerReport] {
        guard let map else { throw NodeError("this node has no map of the mesh yet: is the coordinator reachable?") }
        let found = Whois(map: map).peers(named: String(text.prefix(300)))
        guard !found.isEmpty else {
            throw NodeError(
                "nobody that node `\(local.name)` deals with is called `\(text.prefix(80))`, or has that address: "
                    + "a node knows only of peers with which policy connects it")
        }
        let seen = tunnels(to: Set(found.map(\.key)))
        return found.map { report in
            let last = seen[report.key, default: []].max { ($0.lastHandshake ?? .never) < ($1.lastHandshake ?? .never) }
            var report = report
            (report.seenAt, report.lastHandshake) = (last?.endpoint, last?.lastHandshake)
            return report
        }
    }

    /// The tunnels of this machine's devices to some keys, as WireGuard reports them.
    func tunnels(to keys: Set<WireGuardPublicKey>) -> [WireGuardPublicKey: [PingReport.Tunnel]] {
        var result: [WireGuardPublicKey: [PingReport.Tunnel]] = [:]
        for name in plan.devices.keys.sorted(by: { $0.rawValue < $1.rawValue }) {
            for (key, peer) in state(of: name)?.peers ?? [:] where keys.contains(key) {
                result[key, default: []].append(
                    PingReport.Tunnel(
                        device: name.rawValue, endpoint: peer.endpoint?.description, lastHandshake: peer.lastHandshake))
            }
        }
        return result
    }
}

extension Timestamp {
    fileprivate static let never = Timestamp(rawValue: .min)
}
