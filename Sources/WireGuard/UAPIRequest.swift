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

/// Requests to a WireGuard device in the text of its interface.
enum UAPIRequest {
    static let get = "get=1\n\n"

    static func set(_ tightening: DeviceChanges.Tightening) -> String {
        var lines = ["set=1"]
        for key in WireGuardPublicKey.ordered(tightening.removedPeers) {
            lines += ["public_key=\(hex(key.bytes))", "remove=true"]
        }
        for key in WireGuardPublicKey.ordered(tightening.keptAllowedIPs.keys) {
            // The interface has no word for taking one prefix away: the peer is given those that it keeps.
            // Without `update_only` a peer that just went would come back.
            lines += ["public_key=\(hex(key.bytes))", "update_only=true", "replace_allowed_ips=true"]
            lines += allowedIPs(tightening.keptAllowedIPs[key] ?? [])
        }
        return message(lines)
    }

    static func set(_ loosening: DeviceChanges.Loosening) -> String {
        var lines = ["set=1"]
        if let key = loosening.privateKey { lines.append("private_key=\(hex(key.bytes))") }
        if let port = loosening.listenPort { lines.append("listen_port=\(port)") }
        for key in WireGuardPublicKey.ordered(loosening.peers.keys) {
            guard let peer = loosening.peers[key] else { continue }
            lines.append("public_key=\(hex(key.bytes))")
            if !peer.isNew { lines.append("update_only=true") }
            if let key = peer.presharedKey { lines.append("preshared_key=\(hex(key.bytes))") }
            if let endpoint = peer.endpoint { lines.append("endpoint=\(endpoint)") }
            if let seconds = peer.keepaliveSeconds { lines.append("persistent_keepalive_interval=\(seconds)") }
            lines += allowedIPs(peer.allowedIPs)
        }
        return message(lines)
    }

    private static func allowedIPs(_ prefixes: Set<IPPrefix>) -> [String] {
        prefixes.map { "allowed_ip=\($0)" }.sorted()
    }

    private static func message(_ lines: [String]) -> String { lines.joined(separator: "\n") + "\n\n" }
}
