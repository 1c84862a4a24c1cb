import Mesh

/// Whether a session's device sends something when it has nothing to say, so that what stands between it and a node
/// with services does not forget the flow.
package enum Keepalive: String, CaseIterable, Sendable {
    /// Towards a node that a router seems to stand before.
    case automatic
    case always
    case never

    /// Routers forget a flow of UDP after 30 s at the soonest (RFC 4787 §4.3 asks for two minutes).
    static let interval = Duration.seconds(25)

    func interval(towards endpoint: Endpoint, from underlay: Underlay) -> Duration? {
        switch self {
        case .automatic: underlay.isBehindRouter(from: endpoint.address) ? Self.interval : nil
        case .always: Self.interval
        case .never: nil
        }
    }
}

extension Underlay {
    /// Whether packets from there, if they find us at all, come by a router that gave ours another address: we have
    /// private addresses alone in that family, and are not in one network.
    ///
    /// A firewall before a global address looks the same to nobody but the one who set it up.
    func isBehindRouter(from address: IPAddress) -> Bool {
        let ours = addresses.filter { $0.address.isSameFamily(as: address) }
        return !ours.isEmpty && !isNeighbour(address) && ours.allSatisfy { $0.isPrivate }
    }
}

extension IPAddress {
    fileprivate func isSameFamily(as other: IPAddress) -> Bool { bytes.count == other.bytes.count }
}
