import Authorization
import Datapath
import Mesh

/// Remembers what was told, so that a loop of denied calls is told once in ten seconds and not once a packet.
struct DenialLog: Sendable {
    struct Key: Hashable {
        let session: SessionID
        let target: String
    }

    private static let pause = Duration.seconds(10)
    private static let capacity = 1024
    private var toldAt: [Key: BootTime] = [:]

    mutating func shouldTell(_ key: Key, at now: BootTime) -> Bool {
        if let last = toldAt[key], now - last < Self.pause { return false }
        if toldAt.count >= Self.capacity { toldAt.removeAll() }
        toldAt[key] = now
        return true
    }
}

extension Node {
    /// The sentence for a session that was denied something; nil when it has been told already, or need not know.
    func denial(_ event: PacketEvent, of session: LiveSession) -> String? {
        guard event.place == .connect || event.place == .sessionEgress else { return nil }
        let agent = session.local.agent
        let address = event.target
        let key = DenialLog.Key(session: session.local.id, target: address)
        guard denials.shouldTell(key, at: event.time) else { return nil }
        guard let service = service(at: event) else {
            return "denied: agent `\(agent)` may not connect to \(address): \(event.reason)"
        }
        return """
            denied: agent `\(agent)` may not connect to `\(service)` (\(address)): \(reason(agent, service, event)); \
            `postern why --agent \(agent) connect \(service)` says more
            """
    }

    private func reason(_ agent: AgentName, _ service: ServiceName, _ event: PacketEvent) -> String {
        // Known even where the policy has come to say something else since.
        if event.reason == .grantEnded, let ended = policy?.reference(where: { $0.number == event.policy }) {
            return "its grant by \(ended) has ended"
        }
        guard let policy else { return "the policies cannot be read" }
        return denial(of: agent, service, event, by: policy) ?? event.reason.description
    }

    /// What the policies say against it; nil where they allow it.
    func denial(
        of agent: AgentName, _ service: ServiceName, _ event: PacketEvent, by policy: PolicySnapshot
    ) -> String? {
        let now = trustedNow.map { _ in clock.utc(at: event.time) }
        return policy.denial(agent: agent, action: .connect, service: service, now: now)
    }

    func service(at event: PacketEvent) -> ServiceName? {
        guard let map, let offset = offset(of: event.destination, in: map.pool) else { return nil }
        return map.services.values.filter { service in
            service.protocol.transport == event.transportProtocol && service.port == event.servicePort
                && map.nodes[service.node]?.offset == offset
        }.map(\.name).min()
    }

    private func offset(of address: PacketEvent.Address?, in pool: AddressPool) -> MeshOffset? {
        switch address {
        case .v4(let address): pool.offset(of: address)
        case .v6(let address): pool.offset(of: address)
        case nil: nil
        }
    }
}

extension PacketEvent {
    /// The ICMP of either family is one.
    var transportProtocol: TransportProtocol? {
        transport == Self.icmp6 ? .icmp : TransportProtocol(rawValue: transport)
    }

    private static let icmp6: UInt8 = 58

    fileprivate var servicePort: Port? { transportProtocol == .icmp ? nil : destinationPort }

    /// Where it was going: `10.0.0.1:80`, `[fd00::1]:80`.
    var target: String {
        let port = destinationPort.map { ":\($0)" } ?? ""
        return switch destination {
        case .v4(let address): "\(address)\(port)"
        case .v6(let address): "[\(address)]\(port)"
        case nil: "an unknown address"
        }
    }
}
