internal import CLinux
internal import CMnl
internal import Glibc

/// The network interfaces of one network namespace, with their addresses and routes, by routing netlink.
///
/// A device gets its life in this order, so that no packet finds it half made: create, MTU, move while down,
/// classifier, addresses, routes, up.
package struct Links: ~Copyable, Sendable {
    let netlink: NetlinkSocket

    /// Those of the calling thread's namespace.
    package init() throws(LinkError) {
        let opened = socket(AF_NETLINK, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue), NETLINK_ROUTE)
        guard opened >= 0 else { throw LinkError(.open, "a netlink socket", errno: errno) }
        netlink = NetlinkSocket(owning: opened)
    }

    package init(in namespace: borrowing NetworkNamespace) throws(LinkError) {
        netlink = NetlinkSocket(
            owning: try namespace.socket(domain: AF_NETLINK, type: Int32(SOCK_RAW.rawValue), protocol: NETLINK_ROUTE))
    }

    /// The index of an interface; nil when there is none of that name. A move changes it.
    package borrowing func index(of device: DeviceName) throws(LinkError) -> Int32? {
        try find(device)?.header(ifinfomsg.self)?.ifi_index
    }

    private borrowing func find(_ device: DeviceName) throws(LinkError) -> NetlinkMessage? {
        let request = NetlinkRequest(RTM_GETLINK, flags: NLM_F_ACK)
        request.put(ifinfomsg())
        request.put(IFLA_IFNAME, device.rawValue)
        do throws(NetlinkSocket.Failure) {
            return try netlink.ask(request).first
        } catch {
            guard error.errno != ENODEV else { return nil }
            throw LinkError(.find, "`\(device)`", errno: error.errno)
        }
    }

    /// Makes an interface that is down.
    borrowing func create(_ device: DeviceName, kind: String, mtu: Int) throws(LinkError) {
        let request = NetlinkRequest(RTM_NEWLINK, flags: NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK)
        request.put(ifinfomsg())
        request.put(IFLA_IFNAME, device.rawValue)
        request.put(IFLA_MTU, UInt32(clamping: mtu))
        request.nest(IFLA_LINKINFO) { request.put(IFLA_INFO_KIND, kind) }
        try perform(request, .create, "`\(device)`")
    }

    /// What the interface is, empty for hardware; nil when there is none of that name.
    borrowing func kind(of device: DeviceName) throws(LinkError) -> String? {
        guard let link = try find(device) else { return nil }
        for (type, value) in link.attributeList(after: ifinfomsg.self) where type == IFLA_LINKINFO {
            for (type, value) in NetlinkAttributes(value) where type == IFLA_INFO_KIND {
                return String(decoding: value.prefix { $0 != 0 }, as: UTF8.self)
            }
        }
        return ""
    }

    package borrowing func setMTU(_ mtu: Int, of device: DeviceName) throws(LinkError) {
        try change(device, .set, "the MTU of `\(device)` to \(mtu)") { $0.put(IFLA_MTU, UInt32(clamping: mtu)) }
    }

    /// Moves the interface; it loses its addresses and routes, goes down and gets a new index.
    package borrowing func move(
        _ device: DeviceName, to namespace: borrowing NetworkNamespace
    ) throws(LinkError) {
        let target = UInt32(bitPattern: namespace.descriptor)
        try change(device, .move, "`\(device)` to another network namespace") { $0.put(IFLA_NET_NS_FD, target) }
    }

    package borrowing func bringUp(_ device: DeviceName) throws(LinkError) {
        try change(device, .start, "`\(device)`", flags: UInt32(IFF_UP)) { _ in }
    }

    package borrowing func bringDown(_ device: DeviceName) throws(LinkError) {
        try change(device, .stop, "`\(device)`", flags: 0) { _ in }
    }

    package borrowing func delete(_ device: DeviceName) throws(LinkError) {
        let subject = "`\(device)`"
        let request = NetlinkRequest(RTM_DELLINK, flags: NLM_F_ACK)
        request.put(linkHeader(index: try existingIndex(of: device, .delete, subject)))
        try perform(request, .delete, subject)
    }

    private borrowing func change(
        _ device: DeviceName, _ operation: LinkError.Operation, _ subject: String, flags: UInt32? = nil,
        attributes: (borrowing NetlinkRequest) -> Void
    ) throws(LinkError) {
        var header = linkHeader(index: try existingIndex(of: device, operation, subject))
        if let flags {
            header.ifi_flags = flags
            header.ifi_change = UInt32(IFF_UP)
        }
        let request = NetlinkRequest(RTM_NEWLINK, flags: NLM_F_ACK)
        request.put(header)
        attributes(request)
        try perform(request, operation, subject)
    }

    private func linkHeader(index: Int32) -> ifinfomsg {
        var header = ifinfomsg()
        header.ifi_index = index
        return header
    }

    borrowing func existingIndex(
        of device: DeviceName, _ operation: LinkError.Operation, _ subject: String
    ) throws(LinkError) -> Int32 {
        guard let index = try index(of: device) else { throw LinkError(operation, subject, errno: ENODEV) }
        return index
    }

    borrowing func perform(
        _ request: consuming NetlinkRequest, _ operation: LinkError.Operation, _ subject: String
    ) throws(LinkError) {
        do throws(NetlinkSocket.Failure) {
            try netlink.ask(request)
        } catch {
            throw LinkError(operation, subject, errno: error.errno)
        }
    }
}
