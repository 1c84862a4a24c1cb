package import Mesh

/// What a WireGuard device should be.
///
/// No two peers hold the same prefix and no peer has the device's own key: WireGuard would silently give the
/// prefix to one of them, and silently leave the peer out.
package struct DeviceConfiguration: Equatable, Sendable {
    package let privateKey: WireGuardPrivateKey
    /// The UDP port on the underlay; nil leaves the choice to the kernel.
    package let listenPort: Port?
    package let peers: [WireGuardPublicKey: PeerConfiguration]

    package init(
        privateKey: WireGuardPrivateKey, listenPort: Port? = nil,
        peers: [WireGuardPublicKey: PeerConfiguration] = [:]
    ) throws(ConfigurationError) {
        var holders: [IPPrefix: WireGuardPublicKey] = [:]
        for (key, peer) in peers {
            for prefix in peer.allowedIPs where holders.updateValue(key, forKey: prefix) != nil {
                throw .sharedPrefix(prefix)
            }
        }
        let own = privateKey.publicKey
        guard peers[own] == nil else { throw .ownKey(own) }
        (self.privateKey, self.listenPort, self.peers) = (privateKey, listenPort, peers)
    }
}

/// What a WireGuard device should know of one peer.
package struct PeerConfiguration: Hashable, Sendable {
    /// The inner addresses that this peer, and no other, may speak for.
    package var allowedIPs: Set<IPPrefix>
    /// Where to reach the peer; nil keeps what its own packets have taught.
    package var endpoint: Endpoint?
    /// How often to send an empty packet, in whole seconds from 1 to 65535; nil for never.
    package var keepalive: Duration?
    /// Nil for none.
    package var presharedKey: PresharedKey?

    package init(
        allowedIPs: Set<IPPrefix>, endpoint: Endpoint? = nil, keepalive: Duration? = nil,
        presharedKey: PresharedKey? = nil
    ) {
        (self.allowedIPs, self.endpoint, self.keepalive) = (allowedIPs, endpoint, keepalive)
        self.presharedKey = presharedKey
    }

    /// The keepalive as WireGuard counts it; 0 is off.
    var keepaliveSeconds: UInt16 { keepalive.map { UInt16(clamping: max(1, $0.components.seconds)) } ?? 0 }
}

/// Why a configuration cannot be that of a WireGuard device.
package enum ConfigurationError: Error, Equatable, Sendable, CustomStringConvertible {
    case sharedPrefix(IPPrefix)
    case ownKey(WireGuardPublicKey)

    package var description: String {
        switch self {
        case .sharedPrefix(let prefix): "cannot configure a device: two peers hold the address `\(prefix)`"
        case .ownKey(let key): "cannot configure a device: its own key `\(key)` is among the peers"
        }
    }
}
