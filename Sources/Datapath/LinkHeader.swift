internal import CLinux
internal import Glibc

/// What stands before the IP header of every packet of a device, by the device's kind.
enum LinkHeader: UInt32 {
    /// WireGuard and TUN: packets begin with IP.
    case none = 0
    case ethernet = 14

    /// From <linux/if_arp.h>.
    private init?(kind: UInt16) {
        switch kind {
        case 0xfffe: self = .none  // ARPHRD_NONE
        case 1, 772: self = .ethernet  // ARPHRD_ETHER, ARPHRD_LOOPBACK
        default: return nil
        }
    }

    /// - Parameters:
    ///   - interface: the index, in the namespace where the device is.
    ///   - netns: a descriptor of that network namespace; nil for our own.
    static func of(interface: UInt32, netns: Int32?, _ operation: String) throws(DatapathError) -> LinkHeader {
        let type = Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue)
        let opened = netns.map { pt_socket_in_netns($0, AF_INET, type, 0) } ?? socket(AF_INET, type, 0)
        guard opened >= 0 else { throw DatapathError(operation, errno: netns == nil ? errno : -opened) }
        let asked = Descriptor(owning: opened)
        // `struct ifreq`: a name of 16 bytes, then the answer: an index, or an address that begins with its kind.
        var request = [UInt32](repeating: 0, count: 10)
        request[4] = interface
        for question in [UInt(0x8910), 0x8927] {  // SIOCGIFNAME, SIOCGIFHWADDR
            guard unsafe ioctl(asked.raw, question, &request) == 0 else { throw DatapathError(operation, errno: errno) }
        }
        guard let header = LinkHeader(kind: UInt16(truncatingIfNeeded: request[4])) else {
            throw DatapathError(operation, because: "it is of a kind that carries no IP of ours")
        }
        return header
    }
}
