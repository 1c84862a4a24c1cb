import Mesh

// The cross-platform interface of WireGuard (wireguard.com/xplatform): lines of KEY=VALUE over a Unix socket,
// a blank line ends a message.
//
//     get=1                       set=1
//                                 private_key=HEX
//     private_key=HEX             public_key=HEX        one block for each peer
//     listen_port=51820           update_only=true
//     public_key=HEX              replace_allowed_ips=true
//     allowed_ip=10.0.0.2/32      allowed_ip=10.0.0.2/32
//     …
//     errno=0                     errno=0

/// A request to a WireGuard device in the text of its interface.
///
/// It is written part by part as it is sent: the device, which is slow to make peers, works through one part while we
/// write the next.
struct UAPIRequest {
    /// How many peers it is about.
    let peers: Int
    private let opening: [String]
    private let block: (Int) -> [String]

    static var get: UAPIRequest { UAPIRequest(["get=1"], [] as [WireGuardPublicKey]) { _ in [] } }

    private init<Peer>(_ opening: [String], _ peers: [Peer], block: @escaping (Peer) -> [String]) {
        (self.peers, self.opening, self.block) = (peers.count, opening, { block(peers[$0]) })
    }

    /// So many peers are in one part.
    static let partLength = 128

    /// At least one.
    var parts: some Sequence<String> {
        stride(from: 0, to: max(1, peers), by: Self.partLength).lazy.map(part)
    }

    private func part(from start: Int) -> String {
        let end = min(start + Self.partLength, peers)
        let lines = (start == 0 ? opening : []) + (start..<end).flatMap(block)
        return lines.joined(separator: "\n") + (end == peers ? "\n\n" : "\n")
    }
}

extension UAPIRequest {
    static func set(_ tightening: DeviceChanges.Tightening) -> UAPIRequest {
        let removed = tightening.removedPeers
        let keys = WireGuardPublicKey.ordered(removed) + WireGuardPublicKey.ordered(tightening.keptAllowedIPs.keys)
        return UAPIRequest(["set=1"], Array(keys.enumerated())) { place, key in
            guard place >= removed.count else { return ["public_key=\(hex(key.bytes))", "remove=true"] }
            // The interface has no word for taking one prefix away: the peer is given those that it keeps.
            // Without `update_only` a peer that just went would come back.
            return ["public_key=\(hex(key.bytes))", "update_only=true", "replace_allowed_ips=true"]
                + allowedIPs(tightening.keptAllowedIPs[key] ?? [])
        }
    }

    static func set(_ loosening: DeviceChanges.Loosening) -> UAPIRequest {
        var opening = ["set=1"]
        if let key = loosening.privateKey { opening.append("private_key=\(hex(key.bytes))") }
        if let port = loosening.listenPort { opening.append("listen_port=\(port)") }
        return UAPIRequest(opening, WireGuardPublicKey.ordered(loosening.peers.keys)) { key in
            loosening.peers[key].map { lines(of: key, $0) } ?? []
        }
    }

    private static func lines(of key: WireGuardPublicKey, _ peer: DeviceChanges.PeerAddition) -> [String] {
        var lines = ["public_key=\(hex(key.bytes))"]
        if !peer.isNew { lines.append("update_only=true") }
        if let key = peer.presharedKey { lines.append("preshared_key=\(hex(key.bytes))") }
        if let endpoint = peer.endpoint { lines.append("endpoint=\(endpoint)") }
        if let seconds = peer.keepaliveSeconds { lines.append("persistent_keepalive_interval=\(seconds)") }
        return lines + allowedIPs(peer.allowedIPs)
    }

    private static func allowedIPs(_ prefixes: Set<IPPrefix>) -> [String] {
        prefixes.map { "allowed_ip=\($0)" }.sorted()
    }
}
