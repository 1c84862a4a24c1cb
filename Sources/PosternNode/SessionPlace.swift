package import WireGuard

/// Where a session lives: its network namespace, and the cgroup of its processes.
package final class SessionPlace: Sendable {
    package let namespace: NetworkNamespace
    /// The cgroup's directory.
    package let cgroup: String

    package init(namespace: consuming NetworkNamespace, cgroup: String) {
        self.namespace = namespace
        self.cgroup = cgroup
    }
}

/// Where this node's pins are, below its own directory in a bpffs.
package struct PinPaths: Sendable {
    package let root: String

    package init(root: String) { self.root = root }

    package var tables: String { root + "/tables" }
    package var wall: String { root + "/wall" }
    package func classifier(of device: DeviceName) -> String { root + "/device-" + device.rawValue }
    package func connectHook(of device: DeviceName) -> String { root + "/connect-" + device.rawValue }
}
