package import Mesh

/// A way to have WireGuard devices: in the kernel, or by a program in user space.
///
/// A device is made in the network namespace of the calling thread, down and without addresses, and its UDP
/// socket stays there when the device moves. Calls are synchronous and bounded to a few seconds, so they belong
/// on a thread of their own.
package protocol WireGuardBackend: Sendable {
    var kind: BackendKind { get }

    /// Tells of devices that ended by themselves; nil when none can.
    var endings: DeviceEndings? { get }

    func create(_ device: DeviceName, mtu: Int) throws(WireGuardError)

    /// Moves the device from the namespace of the calling thread into another one, and knows it there.
    func move(_ device: DeviceName, to namespace: borrowing NetworkNamespace) throws(WireGuardError)

    /// Says where a device of an earlier run is, if it is there at all. A device of which nothing was said, and one
    /// that is not there, is looked for in the namespace of the calling thread.
    func adopt(_ device: DeviceName, in namespace: borrowing NetworkNamespace) throws(WireGuardError)

    /// What the device reports; it may be in any namespace.
    func state(of device: DeviceName) throws(WireGuardError) -> DeviceState

    /// Tightens, then loosens. The kernel waits an RCU grace period for each peer that it removes, some ten
    /// milliseconds: whoever removes many does it in several calls.
    func apply(_ changes: DeviceChanges, to device: DeviceName) throws(WireGuardError)

    /// Deletes the device wherever it is; a device that is not there is no error.
    func delete(_ device: DeviceName) throws(WireGuardError)

    /// Whether the device is there. Throws when that cannot be told: such a device may work, so it is not to be
    /// replaced.
    func exists(_ device: DeviceName) throws(WireGuardError) -> Bool

    /// The devices that were created here, by an earlier run too, and not deleted since; some may be gone.
    func devices() throws(WireGuardError) -> Set<DeviceName>
}

/// What carries WireGuard on a machine.
package enum BackendKind: String, CaseIterable, Sendable {
    case kernel
    case userspace
}

extension WireGuardBackend {
    /// Brings the device to what it should be, and says what that took.
    @discardableResult
    package func configure(
        _ device: DeviceName, as wanted: DeviceConfiguration
    ) throws(WireGuardError) -> DeviceChanges {
        let changes = wanted.changes(from: try state(of: device))
        if !changes.isEmpty { try apply(changes, to: device) }
        return changes
    }

    /// Has a device that is up, and as configured, begin a handshake with some of its peers: a keepalive that is switched
    /// on is sent at once.
    package func greet(
        _ peers: some Sequence<WireGuardPublicKey>, in configuration: DeviceConfiguration, from device: DeviceName
    ) throws(WireGuardError) {
        var (other, wanted) = (DeviceChanges(), DeviceChanges())
        for key in peers {
            guard let seconds = configuration.peers[key]?.keepaliveSeconds else { continue }
            other.loosening.peers[key] = DeviceChanges.PeerAddition(keepaliveSeconds: seconds == 0 ? 1 : 0)
            wanted.loosening.peers[key] = DeviceChanges.PeerAddition(keepaliveSeconds: seconds)
        }
        try apply(other, to: device)
        try apply(wanted, to: device)
    }
}
