import CLinux
import Glibc
import Mesh

@testable import Datapath

/// A node with a mesh address, and a neighbour on its LAN that routes the pool to it.
struct LAN {
    let node: Namespace
    let neighbour: Namespace
    let lan: UInt32
    static let nodeAddress = IPv4Address("192.0.2.1")!
    static let meshAddress = pool.ipv4(at: Who.node)

    init() throws {
        (node, neighbour) = (try Namespace(), try Namespace())
        try neighbour.ip("link add lan type veth peer name lan netns \(node.name)")
        try node.ip("addr add \(Self.nodeAddress)/24 dev lan")
        try node.ip("addr add \(Self.meshAddress)/32 dev lo")
        try node.ip("-6 addr add \(pool.ipv6(at: Who.node))/128 dev lo")
        try node.ip("-6 addr add 2001:db8::1/64 dev lan nodad")
        try node.ip("link set lan up")
        try neighbour.ip("addr add 192.0.2.2/24 dev lan")
        try neighbour.ip("-6 addr add 2001:db8::2/64 dev lan nodad")
        try neighbour.ip("link set lan up")
        try neighbour.ip("route add \(pool.v4Text) via \(Self.nodeAddress)")
        try neighbour.ip("-6 route add \(pool.v6Text) via 2001:db8::1")
        lan = try node.index(of: "lan")
    }
}

/// Everything that comes over an interface, as the neighbour sees it.
final class Tap {
    private let socket: Descriptor

    /// A raw socket sees what comes before any wall of its own machine.
    init(in namespace: Namespace) throws {
        let every = Int32(UInt16(3).bigEndian)  // ETH_P_ALL
        let type = Int32(SOCK_RAW.rawValue | SOCK_NONBLOCK.rawValue)
        socket = Descriptor(owning: pt_socket_in_netns(namespace.descriptor, AF_PACKET, type, every))
        guard socket.raw >= 0 else { throw Failure("cannot listen to the wire") }
    }

    /// How many IP packets with an address of the pool at either end have come since the last time.
    func packetsOfPool() -> Int {
        var found = 0
        var buffer = [UInt8](repeating: 0, count: 2048)
        while case let count = unsafe read(socket.raw, &buffer, buffer.count), count > 0 {
            if touchesPool(Array(buffer[..<count])) { found += 1 }
        }
        return found
    }

    private func touchesPool(_ frame: [UInt8]) -> Bool {
        guard frame.count >= Frame.ethernet + 20 else { return false }
        let ip = Array(frame.dropFirst(Frame.ethernet))
        switch (frame[12], frame[13]) {
        case (0x08, 0x00): return [ip[12..<16], ip[16..<20]].contains { pool.contains(v4: $0) }
        case (0x86, 0xdd) where ip.count >= 40: return [ip[8..<24], ip[24..<40]].contains { pool.contains(v6: $0) }
        default: return false
        }
    }
}

extension AddressPool {
    fileprivate func contains(v4 bytes: ArraySlice<UInt8>) -> Bool {
        offset(of: IPv4Address(rawValue: bytes.reduce(0) { $0 << 8 | UInt32($1) })) != nil
    }

    fileprivate func contains(v6 bytes: ArraySlice<UInt8>) -> Bool {
        bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) } == v6Prefix
    }
}
