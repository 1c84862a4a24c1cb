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
