internal import CMnl
internal import Glibc

/// Owns a socket that becomes readable when interfaces, addresses or routes of the caller's network namespace change.
///
/// What changed is not told: whoever hears it looks again.
package struct LinkWatch: ~Copyable, Sendable {
    package let descriptor: Int32

    package init() throws(LinkError) { descriptor = try Self.open() }

    deinit { close(descriptor) }

    private static func open() throws(LinkError) -> Int32 {
        let type = Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let descriptor = socket(AF_NETLINK, type, NETLINK_ROUTE)
        guard descriptor >= 0 else { throw LinkError(.open, "a netlink socket", errno: errno) }
        var address = sockaddr_nl()
        address.nl_family = sa_family_t(AF_NETLINK)
        address.nl_groups = UInt32(
            RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE)
        let bound = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                unsafe bind(descriptor, pointer, socklen_t(MemoryLayout<sockaddr_nl>.size))
            }
        }
        guard bound == 0 else {
            let code = errno
            close(descriptor)
            throw LinkError(.open, "a netlink socket for changes", errno: code)
        }
        return descriptor
    }

    /// Takes what has come, so that the descriptor is quiet until the next change. An overflow is news, too.
    package borrowing func drain() {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let size = buffer.count
        while true {
            let count = unsafe recv(descriptor, &buffer, size, Int32(MSG_DONTWAIT))
            guard count > 0 || (count < 0 && (errno == EINTR || errno == ENOBUFS)) else { return }
        }
    }
}
