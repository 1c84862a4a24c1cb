internal import CLinux
internal import Glibc

/// Hears whenever somebody changes the firewall: a wall that stands in it may have fallen.
///
/// The kernel tells of each change of nf_tables in one network namespace (NFNLGRP_NFTABLES). Where the wall is of
/// links, no change of the firewall touches it.
package final class WallWatch: Sendable {
    private static let protocolNumber: Int32 = 12  // NETLINK_NETFILTER
    private static let group: UInt32 = 1 << 6  // NFNLGRP_NFTABLES, which is 7

    /// Readable when there is news; stays ours.
    package let descriptor: Int32

    /// - Parameter netns: nil for our own.
    package init(netns: Int32? = nil) throws(DatapathError) {
        let type = Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let opened =
            netns.map { pt_socket_in_netns($0, AF_NETLINK, type, Self.protocolNumber) }
            ?? socket(AF_NETLINK, type, Self.protocolNumber)
        guard opened >= 0 else {
            throw DatapathError("watch the firewall", errno: netns == nil ? errno : -opened)
        }
        descriptor = opened
        // `struct sockaddr_nl`: the family, a number that the kernel gives, and the groups.
        let address = [UInt32(AF_NETLINK), 0, Self.group]
        let bound = unsafe address.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return Int32(-1) }
            return unsafe bind(opened, base.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
        }
        guard bound == 0 else { throw DatapathError("watch the firewall", errno: errno) }
    }

    deinit { close(descriptor) }

    /// Forgets what has been heard until now. What the kernel could not keep for us was news too.
    package func drain() {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while unsafe recv(descriptor, &buffer, buffer.count, 0) >= 0 || errno == ENOBUFS {}
    }
}
