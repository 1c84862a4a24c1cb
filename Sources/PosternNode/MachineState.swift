package import Datapath
package import Mesh
package import WireGuard

/// The machine as it was found: what stands in the kernel, whoever put it there.
package struct MachineState: Equatable, Sendable {
    package var tables: TableSet
    /// The devices that were looked at, gone ones too; every other is left as it is.
    package var devices: [DeviceName: SeenDevice]
    /// Devices that could not be looked at, and why.
    package var unseen: [DeviceName: String]
    /// The pool around which the wall was found to stand.
    package var wall: AddressPool?

    package init(
        tables: TableSet = TableSet(), devices: [DeviceName: SeenDevice] = [:], unseen: [DeviceName: String] = [:],
        wall: AddressPool? = nil
    ) {
        (self.tables, self.devices, self.unseen, self.wall) = (tables, devices, unseen, wall)
    }
}

/// One device as it was found. A fresh value is a device that is not there.
package struct SeenDevice: Equatable, Sendable {
    package enum Location: Sendable {
        case nowhere
        /// In the daemon's own namespace.
        case home
        /// In the namespace of its session.
        case session
        /// In none of these.
        case elsewhere
    }

    /// What stands first in both chains of the device.
    package enum Guarding: Equatable, Sendable {
        /// Nothing, or something that is not our classifier.
        case nothing
        /// A classifier of ours with another identity, or of another version.
        case other
        case classifier(DeviceIdentity)
    }

    package var location = Location.nowhere
    package var isUp = false
    package var guarding = Guarding.nothing
    /// Whether the connect hooks of this identity are attached; the node's own device has none.
    package var hook: DeviceIdentity?
    package var wireguard = DeviceState()
    /// What this daemon set last; nil when that was an earlier one.
    package var configured: DeviceConfiguration?
    package var addresses: Set<IPAddress> = []
    package var routes: Set<IPPrefix> = []
    /// Whether the wall lets the pool pass on this device, and on no other.
    package var isAdmitted = false

    package init() {}
}
