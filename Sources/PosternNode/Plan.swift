package import CoordinationAPI
package import Datapath
package import Mesh
package import WireGuard

/// What this machine should be: its WireGuard devices and its tables.
package struct Plan: Equatable, Sendable {
    package var devices: [DeviceName: DevicePlan]
    package var tables: TableSet
    /// What the grants came from: for each local session, the nodes that hold a service granted to it.
    package var grantedNodes: [SessionID: Set<NodeName>]
    /// What stands in the way of the map's full effect; each narrows and never widens.
    package var problems: [String]
    /// When a window of time opens or closes, and so another plan is due; nil where time changes nothing.
    package var nextChange: BootTime?

    package static let empty = Plan(devices: [:], tables: TableSet(), grantedNodes: [:], problems: [])
}

/// One WireGuard device, where it lives, and who it speaks for.
package struct DevicePlan: Equatable, Sendable {
    package var owner: DeviceOwner
    package var configuration: DeviceConfiguration
    package var identity: DeviceIdentity

    package init(owner: DeviceOwner, configuration: DeviceConfiguration, identity: DeviceIdentity) {
        (self.owner, self.configuration, self.identity) = (owner, configuration, identity)
    }
}

/// Whose device it is, and so in which network namespace it lives.
package enum DeviceOwner: Hashable, Sendable {
    case node
    case session(SessionID)
}

/// A session of this node, as the planner needs it.
package struct LocalSession: Equatable, Sendable {
    package let id: SessionID
    package let agent: AgentName
    package let device: DeviceName
    package let key: WireGuardPrivateKey
    package let port: Port
    /// The key that takes the place of this one; the mesh may know the session by it already.
    package let next: WireGuardPrivateKey?
    /// For whom it runs.
    package let person: PersonProof?

    package init(
        id: SessionID, agent: AgentName, device: DeviceName, key: WireGuardPrivateKey, port: Port,
        next: WireGuardPrivateKey? = nil, person: PersonProof? = nil
    ) {
        (self.id, self.agent, self.device, self.key, self.port) = (id, agent, device, key, port)
        (self.next, self.person) = (next, person)
    }

    /// The same with other keys, or for somebody.
    func with(
        key: WireGuardPrivateKey? = nil, next: WireGuardPrivateKey? = nil, person: PersonProof? = nil
    ) -> LocalSession {
        LocalSession(
            id: id, agent: agent, device: device, key: key ?? self.key, port: port, next: next,
            person: person ?? self.person)
    }

    /// Whether the mesh may know the session by this key.
    func has(_ key: WireGuardPublicKey) -> Bool { self.key.publicKey == key || next?.publicKey == key }
}

/// What this machine is by itself, whatever the map says.
package struct LocalNode: Equatable, Sendable {
    package let name: NodeName
    package let device: DeviceName
    package let key: WireGuardPrivateKey
    package let port: Port

    package init(name: NodeName, device: DeviceName, key: WireGuardPrivateKey, port: Port) {
        (self.name, self.device, self.key, self.port) = (name, device, key, port)
    }
}

/// One reading of both clocks: it turns deadlines in UTC into time since boot.
///
/// Taken when the coordinator says what time it is, and kept, so that the same deadline always gives the same instant.
package struct ClockReading: Equatable, Sendable {
    package let utc: Timestamp
    package let boot: BootTime

    package init(utc: Timestamp, boot: BootTime) { (self.utc, self.boot) = (utc, boot) }

    package func bootTime(of moment: Timestamp) -> BootTime { boot + (moment - utc) }

    package func utc(at time: BootTime) -> Timestamp { utc + (time - boot) }
}
