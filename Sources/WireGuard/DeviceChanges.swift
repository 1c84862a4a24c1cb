package import Mesh

/// What turns a device as it is into the device as it should be, in two steps that are safe apart.
///
/// Tightening only takes away, loosening only adds: a prefix that moves from one peer to another is nobody's
/// in between. Nothing is replaced that stays, so running tunnels notice nothing.
package struct DeviceChanges: Equatable, Sendable {
    /// Takes peers and prefixes away.
    package struct Tightening: Equatable, Sendable {
        package var removedPeers: Set<WireGuardPublicKey> = []
        /// The prefixes that a narrowed peer keeps; it may keep none.
        package var keptAllowedIPs: [WireGuardPublicKey: Set<IPPrefix>] = [:]

        package var isEmpty: Bool { self == Tightening() }
    }

    /// Sets the device's own key and port, and adds peers and prefixes.
    package struct Loosening: Equatable, Sendable {
        /// Nil leaves the key as it is.
        package var privateKey: WireGuardPrivateKey?
        /// Nil leaves the port as it is.
        package var listenPort: Port?
        package var peers: [WireGuardPublicKey: PeerAddition] = [:]

        package var isEmpty: Bool { self == Loosening() }
    }

    /// What one peer gains. Each nil leaves what is there.
    package struct PeerAddition: Equatable, Sendable {
        package var isNew = false
        package var allowedIPs: Set<IPPrefix> = []
        package var endpoint: Endpoint?
        package var keepaliveSeconds: UInt16?
        package var presharedKey: PresharedKey?

        package var isEmpty: Bool { self == PeerAddition() }
    }

    package var tightening = Tightening()
    package var loosening = Loosening()

    package init(tightening: Tightening = Tightening(), loosening: Loosening = Loosening()) {
        (self.tightening, self.loosening) = (tightening, loosening)
    }

    package var isEmpty: Bool { tightening.isEmpty && loosening.isEmpty }
    package var onlyTightening: DeviceChanges { DeviceChanges(tightening: tightening) }
    package var onlyLoosening: DeviceChanges { DeviceChanges(loosening: loosening) }
}

extension DeviceConfiguration {
    /// What is left to do on a device in this state: nothing, when it is as it should be.
    package func changes(from state: DeviceState) -> DeviceChanges {
        DeviceChanges(tightening: tightening(from: state), loosening: loosening(from: state))
    }

    private func tightening(from state: DeviceState) -> DeviceChanges.Tightening {
        var result = DeviceChanges.Tightening()
        for (key, present) in state.peers {
            guard let wanted = peers[key] else {
                result.removedPeers.insert(key)
                continue
            }
            let kept = present.allowedIPs.intersection(wanted.allowedIPs)
            if kept != present.allowedIPs { result.keptAllowedIPs[key] = kept }
        }
        return result
    }

    private func loosening(from state: DeviceState) -> DeviceChanges.Loosening {
        var result = DeviceChanges.Loosening()
        if state.publicKey != privateKey.publicKey { result.privateKey = privateKey }
        if let listenPort, listenPort != state.listenPort { result.listenPort = listenPort }
        for (key, wanted) in peers {
            let addition = wanted.addition(to: state.peers[key])
            if !addition.isEmpty { result.peers[key] = addition }
        }
        return result
    }
}

extension PeerConfiguration {
    fileprivate func addition(to present: PeerState?) -> DeviceChanges.PeerAddition {
        let current = present ?? PeerState()
        return DeviceChanges.PeerAddition(
            isNew: present == nil,
            allowedIPs: allowedIPs.subtracting(current.allowedIPs),
            endpoint: endpoint == current.endpoint ? nil : endpoint,
            keepaliveSeconds: keepaliveSeconds == current.keepaliveSeconds ? nil : keepaliveSeconds,
            presharedKey: presharedKey == current.presharedKey ? nil : presharedKey ?? PresharedKey.none)
    }
}

extension WireGuardPublicKey {
    /// By their bytes, so that what is written is the same each time.
    static func ordered(_ keys: some Sequence<WireGuardPublicKey>) -> [WireGuardPublicKey] {
        keys.sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }
    }
}
