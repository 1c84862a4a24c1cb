internal import CMnl
internal import Glibc
package import Mesh

extension Links {
    /// Gives the device an IPv4 address with the network behind it, e.g. `10.0.0.1` and 32.
    package borrowing func add(_ address: IPv4Address, length: Int = 32, to device: DeviceName) throws(LinkError) {
        try add(address.bytes, family: AF_INET, length: length, flags: 0, text: "\(address)/\(length)", to: device)
    }

    /// Gives the device an IPv6 address, at once usable: nobody else can have a mesh address.
    package borrowing func add(_ address: IPv6Address, length: Int = 128, to device: DeviceName) throws(LinkError) {
        try add(
            address.bytes, family: AF_INET6, length: length, flags: IFA_F_NODAD, text: "\(address)/\(length)",
            to: device)
    }

    private borrowing func add(
        _ bytes: [UInt8], family: Int32, length: Int, flags: Int32, text: String, to device: DeviceName
    ) throws(LinkError) {
        let subject = "the address `\(text)` to `\(device)`"
        var header = ifaddrmsg()
        header.ifa_family = UInt8(family)
        header.ifa_prefixlen = UInt8(clamping: length)
        header.ifa_flags = UInt8(flags)
        header.ifa_index = UInt32(bitPattern: try existingIndex(of: device, .add, subject))
        let request = NetlinkRequest(RTM_NEWADDR, flags: NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK)
        request.put(header)
        request.put(IFA_LOCAL, bytes)
        request.put(IFA_ADDRESS, bytes)
        try perform(request, .add, subject)
    }

    /// Leads a network through the device.
    package borrowing func addRoute(to network: IPPrefix, through device: DeviceName) throws(LinkError) {
        let subject = "the route to `\(network)` through `\(device)`"
        try perform(try route(RTM_NEWROUTE, network, device, .add, subject), .add, subject)
    }

    package borrowing func removeRoute(to network: IPPrefix, through device: DeviceName) throws(LinkError) {
        let subject = "the route to `\(network)` through `\(device)`"
        try perform(try route(RTM_DELROUTE, network, device, .remove, subject), .remove, subject)
    }

    private borrowing func route(
        _ type: Int, _ network: IPPrefix, _ device: DeviceName, _ operation: LinkError.Operation, _ subject: String
    ) throws(LinkError) -> NetlinkRequest {
        let index = try existingIndex(of: device, operation, subject)
        var header = rtmsg()
        header.rtm_family = UInt8(network.family)
        header.rtm_dst_len = UInt8(network.length)
        header.rtm_table = UInt8(RT_TABLE_MAIN.rawValue)
        header.rtm_protocol = UInt8(RTPROT_STATIC)
        header.rtm_scope = UInt8(network.family == AF_INET ? RT_SCOPE_LINK.rawValue : RT_SCOPE_UNIVERSE.rawValue)
        header.rtm_type = UInt8(RTN_UNICAST)
        let creation = type == RTM_NEWROUTE ? NLM_F_CREATE | NLM_F_EXCL : 0
        let request = NetlinkRequest(type, flags: NLM_F_ACK | creation)
        request.put(header)
        request.put(Int(RTA_DST.rawValue), network.bytes)
        request.put(Int(RTA_OIF.rawValue), UInt32(bitPattern: index))
        return request
    }
}

extension IPPrefix {
    fileprivate var family: Int32 {
        switch address {
        case .v4: AF_INET
        case .v6: AF_INET6
        }
    }
}
