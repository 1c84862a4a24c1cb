internal import CLinux
internal import Glibc

/// Owns one descriptor of a network namespace; the namespace lives at least as long.
package struct NetworkNamespace: ~Copyable, Sendable {
    package let descriptor: Int32

    /// Takes over a descriptor.
    package init(owning descriptor: Int32) { self.descriptor = descriptor }

    /// Opens `/proc/PID/ns/net` or `/run/netns/NAME`.
    package init(path: String) throws(LinkError) {
        let opened = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard opened >= 0 else { throw LinkError(.open, "the network namespace `\(path)`", errno: errno) }
        descriptor = opened
    }

    /// A new and empty one: only a loopback that is down.
    package static func create() throws(LinkError) -> NetworkNamespace {
        NetworkNamespace(owning: try check(pt_netns_create(), .create, "a network namespace"))
    }

    /// That of the calling thread.
    package static func current() throws(LinkError) -> NetworkNamespace {
        try NetworkNamespace(path: "/proc/thread-self/ns/net")
    }

    deinit { close(descriptor) }

    /// Another descriptor of the same namespace.
    package borrowing func duplicate() throws(LinkError) -> NetworkNamespace {
        let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
        guard copy >= 0 else { throw LinkError(.open, "a network namespace", errno: errno) }
        return NetworkNamespace(owning: copy)
    }

    /// Runs the body on a thread inside, while the caller waits outside.
    package borrowing func enter<Result>(_ body: () -> Result) throws(LinkError) -> Result {
        var result: Result?
        let entered = withoutActuallyEscaping(body) { body in
            run { result = body() }
        }
        try check(entered, .enter, "a network namespace")
        guard let result else { preconditionFailure("the thread ran the body") }
        return result
    }

    private borrowing func run(_ visit: @escaping () -> Void) -> Int32 {
        unsafe withUnsafePointer(to: visit) { pointer in
            unsafe pt_netns_run(
                descriptor, { unsafe $0?.assumingMemoryBound(to: (() -> Void).self).pointee() },
                UnsafeMutableRawPointer(mutating: pointer))
        }
    }

    /// Writes a setting below `/proc/sys`, for instance `net/ipv4/tcp_syncookies`.
    package borrowing func setSysctl(_ path: String, to value: String) throws(LinkError) {
        try check(unsafe pt_netns_sysctl(descriptor, path, value), .set, "`\(path)` to `\(value)`")
    }

    /// A close-on-exec socket inside, for use from any thread.
    package borrowing func socket(domain: Int32, type: Int32, protocol number: Int32) throws(LinkError) -> Int32 {
        try check(pt_socket_in_netns(descriptor, domain, type, number), .open, "a socket in a network namespace")
    }
}
