internal import CMnl
internal import Glibc
package import Mesh

/// A network interface as the kernel lists it.
package struct Link: Hashable, Sendable {
    package let index: Int32
    package let name: String
    package let mtu: Int
    package let isUp: Bool

    package init(index: Int32, name: String, mtu: Int, isUp: Bool) {
        (self.index, self.name, self.mtu, self.isUp) = (index, name, mtu, isUp)
    }
}

/// An address on an interface, with the network behind it.
package struct LinkAddress: Hashable, Sendable {
    package let index: Int32
    package let address: IPAddress
    package let length: Int

    package init(index: Int32, address: IPAddress, length: Int) {
        (self.index, self.address, self.length) = (index, address, length)
    }

    package var network: IPPrefix? { IPPrefix(address, length: length) }
}

/// Where a network is reached.
package struct Route: Hashable, Sendable {
    package let destination: IPPrefix
    /// Nil when it leads through no interface, or through several.
    package let index: Int32?
    /// The kernel's own table of local and broadcast addresses, rather than one that a person fills.
    package let isLocal: Bool
}

extension Links {
    package borrowing func all() throws(LinkError) -> [Link] {
        try dump(RTM_GETLINK, ifinfomsg(), "the network interfaces").compactMap(Link.init)
    }

    package borrowing func addresses() throws(LinkError) -> [LinkAddress] {
        try dump(RTM_GETADDR, ifaddrmsg(), "the addresses").compactMap(LinkAddress.init)
    }

    /// The routes of every table; a default route has the length 0.
    package borrowing func routes() throws(LinkError) -> [Route] {
        try dump(RTM_GETROUTE, rtmsg(), "the routes").compactMap(Route.init)
    }

    private borrowing func dump<Header: BitwiseCopyable>(
        _ type: Int, _ header: Header, _ subject: String
    ) throws(LinkError) -> [NetlinkMessage] {
        do throws(NetlinkSocket.Failure) {
            return try netlink.dump {
                let request = NetlinkRequest(type, flags: NLM_F_DUMP)
                request.put(header)
                return request
            }
        } catch {
            throw LinkError(.list, subject, errno: error.errno)
        }
    }
}

// MARK: - Messages

extension Link {
    init?(_ message: NetlinkMessage) {
        guard let header = message.header(ifinfomsg.self) else { return nil }
        let attributes = message.attributes(after: ifinfomsg.self)
        guard let name = attributes[IFLA_IFNAME] else { return nil }
        self.init(
            index: header.ifi_index, name: String(decoding: name.prefix { $0 != 0 }, as: UTF8.self),
            mtu: Int(hostOrder(attributes[IFLA_MTU]) ?? 0), isUp: header.ifi_flags & UInt32(IFF_UP) != 0)
    }
}

extension LinkAddress {
    init?(_ message: NetlinkMessage) {
        guard let header = message.header(ifaddrmsg.self) else { return nil }
        let attributes = message.attributes(after: ifaddrmsg.self)
        // On a point-to-point link IFA_ADDRESS is the other end.
        guard let bytes = attributes[IFA_LOCAL] ?? attributes[IFA_ADDRESS], let address = IPAddress(bytes: bytes) else {
            return nil
        }
        self.init(index: Int32(bitPattern: header.ifa_index), address: address, length: Int(header.ifa_prefixlen))
    }
}

extension Route {
    init?(_ message: NetlinkMessage) {
        guard let header = message.header(rtmsg.self) else { return nil }
        let attributes = message.attributes(after: rtmsg.self)
        let size: Int
        switch Int32(header.rtm_family) {
        case AF_INET: size = 4
        case AF_INET6: size = 16
        default: return nil
        }
        let bytes = attributes[Int(RTA_DST.rawValue)] ?? Array(repeating: 0, count: size)
        guard bytes.count == size, let destination = IPPrefix(bytes: bytes, length: Int(header.rtm_dst_len)) else {
            return nil
        }
        let table = hostOrder(attributes[Int(RTA_TABLE.rawValue)]) ?? UInt32(header.rtm_table)
        self.init(
            destination: destination,
            index: hostOrder(attributes[Int(RTA_OIF.rawValue)]).map { Int32(bitPattern: $0) },
            isLocal: table == RT_TABLE_LOCAL.rawValue)
    }
}

/// A number of 32 bits in host byte order.
private func hostOrder(_ bytes: [UInt8]?) -> UInt32? { bytes.flatMap { WireGuard.hostOrder($0[...], as: UInt32.self) } }
