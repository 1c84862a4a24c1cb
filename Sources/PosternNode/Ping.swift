import Authorization
import CoordinationAPI
import Datapath
import Mesh
import WireGuard

// A ping is a packet that policy lets pass anyway, for nothing is opened for it:
//
//   a service   a TCP handshake with it, or an echo request where it is one of echoes, as a session of this node that
//               is granted it, from that session's namespace
//   a node      a greeting to the port at which nodes speak to each other (UDP 4747), as this node
//
// What policy does not allow is not tried: the kernel would drop it, and silence explains nothing.

extension Node {
    func ping(_ request: PingRequest) async throws -> PingReport {
        guard PingRequest.countRange.contains(request.count) else {
            let range = PingRequest.countRange
            throw NodeError("a ping is sent \(range.lowerBound) to \(range.upperBound) times")
        }
        let aim = try aim(at: String(request.target.prefix(300)))
        var report = PingReport(
            node: aim.node.name, address: aim.address.description, means: aim.means, tunnels: [], roundTrips: [])
        if let probe = aim.probe {
            report.roundTrips = try await probe.roundTrips(count: request.count)
        } else {
            report.refusal = aim.refusal
        }
        report.tunnels = tunnels(to: [aim.node.key])[aim.node.key, default: []]
        return report
    }

    /// Who is pinged, and how; with a reason in place of a probe where policy connects nobody.
    private struct Aim {
        let node: NetworkMap.Node
        let address: IPv4Address
        var means: String?
        var refusal: String?
        var probe: Probe?
    }

    private func aim(at text: String) throws(NodeError) -> Aim {
        guard let map else { throw NodeError("this node has no map of the mesh yet: is the coordinator reachable?") }
        let whois = Whois(map: map)
        if let service = ServiceName(rawValue: text).flatMap({ map.services[$0] }), let node = map.nodes[service.node] {
            return try aim(at: service, on: node, map)
        }
        guard let peer = whois.peers(named: text).first(where: { $0.kind == .node }), let node = map.nodes[peer.node]
        else {
            throw NodeError(
                "no node or service that node `\(local.name)` deals with is called `\(text.prefix(80))`, or has that "
                    + "address")
        }
        return aim(at: node, map)
    }

    private func aim(
        at service: ServiceDefinition, on node: NetworkMap.Node, _ map: NetworkMap
    ) throws(NodeError) -> Aim {
        guard service.protocol != .udp else {
            throw NodeError(
                "service `\(service.name)` is spoken to over UDP, and answers only who speaks its language: `postern ping "
                    + "\(node.name)` tells whether its node answers")
        }
        let address = map.pool.ipv4(at: node.offset)
        var aim = Aim(node: node, address: address)
        guard let session = sessions.values.filter({ allows($0, service) }).min(by: { $0.local.id < $1.local.id })
        else {
            aim.refusal =
                "no session of this node is granted service `\(service.name)`: run one, and ask "
                + "`postern why --agent AGENT connect \(service.name)` what policy says"
            return aim
        }
        let way = service.port.map { "TCP port \($0)" } ?? "echo"
        aim.means = "\(way), as agent `\(session.local.agent)`"
        aim.probe =
            if let port = service.port { .connection(to: address, port, from: session.place) } else {
                .echo(to: address, from: session.place)
            }
        return aim
    }

    private func allows(_ session: LiveSession, _ service: ServiceDefinition) -> Bool {
        guard plan.devices[session.local.device] != nil, let policy else { return false }
        return policy.decide(
            agent: session.local.agent, action: .connect, service: service.name, now: trustedNow
        ).isAllowed
    }

    private func aim(at node: NetworkMap.Node, _ map: NetworkMap) -> Aim {
        let address = map.pool.ipv4(at: node.offset)
        var aim = Aim(node: node, address: address)
        guard node.name != local.name else {
            aim.refusal = "node `\(node.name)` is this one"
            return aim
        }
        guard let own = map.nodes[local.name], plan.devices[local.device]?.configuration.peers[node.key] != nil else {
            aim.refusal =
                "nothing connects this node with node `\(node.name)`: nodes speak to each other only while a session of "
                + "one is granted a service on the other"
            return aim
        }
        let source = map.pool.ipv4(at: own.offset)
        aim.means = "UDP port \(Greeting.port), as node `\(local.name)`"
        aim.probe = .greeting(from: source, to: address)
        return aim
    }
}
