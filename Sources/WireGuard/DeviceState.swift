package import Mesh

/// What a WireGuard device reports of itself.
package struct DeviceState: Equatable, Sendable {
    /// Nil before a key is set.
    package var publicKey: WireGuardPublicKey?
    /// Nil before a port is chosen.
    package var listenPort: Port?
    package var peers: [WireGuardPublicKey: PeerState]

    package init(
        publicKey: WireGuardPublicKey? = nil, listenPort: Port? = nil, peers: [WireGuardPublicKey: PeerState] = [:]
    ) {
        (self.publicKey, self.listenPort, self.peers) = (publicKey, listenPort, peers)
    }
}

/// What a WireGuard device reports of one peer.
package struct PeerState: Equatable, Sendable {
    package var allowedIPs: Set<IPPrefix>
    /// Where its last authenticated packet came from; nil if unknown, or local to one link.
    package var endpoint: Endpoint?
    package var keepaliveSeconds: UInt16
    /// Nil when there is none.
    package var presharedKey: PresharedKey?
    /// Nil when there was none.
    package var lastHandshake: Timestamp?
    package var receivedBytes: UInt64
    package var sentBytes: UInt64

    package init(
        allowedIPs: Set<IPPrefix> = [], endpoint: Endpoint? = nil, keepaliveSeconds: UInt16 = 0,
        presharedKey: PresharedKey? = nil, lastHandshake: Timestamp? = nil, receivedBytes: UInt64 = 0,
        sentBytes: UInt64 = 0
    ) {
        (self.allowedIPs, self.endpoint, self.keepaliveSeconds) = (allowedIPs, endpoint, keepaliveSeconds)
        self.presharedKey = presharedKey
        (self.lastHandshake, self.receivedBytes, self.sentBytes) = (lastHandshake, receivedBytes, sentBytes)
    }
}
