import CLinux
import Glibc
import Mesh

@testable import Datapath

/// A node's TUN device in a namespace of its own: the test writes and reads what WireGuard would.
final class Tunnel {
    let namespace: Namespace
    let interface: UInt32
    private let descriptor: Int32

    init(in namespace: Namespace? = nil) throws {
        self.namespace = try namespace ?? Namespace()
        try self.namespace.ip("tuntap add mesh0 mode tun")
        interface = try self.namespace.index(of: "mesh0")
        descriptor = try openTunnel("mesh0", in: self.namespace)
    }

    deinit { close(descriptor) }

    func up() throws {
        try namespace.ip("addr add \(pool.ipv4(at: Who.node))/14 dev mesh0")
        try namespace.ip("link set mesh0 up")
    }

    func write(_ packet: [UInt8]) throws {
        guard unsafe Glibc.write(descriptor, packet, packet.count) == packet.count else { throw Failure("no write") }
    }

    /// The next TCP packet that the node sends, if one comes in time.
    func readTCP(within milliseconds: Int32) -> [UInt8]? { read(transport: 6, within: milliseconds) }

    func read(transport: UInt8, within milliseconds: Int32) -> [UInt8]? {
        var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        while unsafe poll(&waiting, 1, milliseconds) == 1 {
            var buffer = [UInt8](repeating: 0, count: 2048)
            let count = unsafe Glibc.read(descriptor, &buffer, buffer.count)
            guard count >= 28 else { continue }
            if buffer[buffer[0] >> 4 == 4 ? 9 : 6] == transport { return Array(buffer[..<count]) }
        }
        return nil
    }
}

private struct Order {
    let name: String
    var result: Int32 = -1
}

/// Opens a TUN device where it is: in the namespace.
private func openTunnel(_ name: String, in namespace: Namespace) throws -> Int32 {
    var order = Order(name: name)
    let status = unsafe withUnsafeMutablePointer(to: &order) { pointer in
        unsafe pt_netns_run(
            namespace.descriptor,
            { context in
                guard let order = unsafe context?.assumingMemoryBound(to: Order.self) else { return }
                unsafe order.pointee.result = takeTunnel(order.pointee.name)
            }, pointer)
    }
    guard status == 0, order.result >= 0 else { throw Failure("no TUN device: \(order.result)") }
    return order.result
}

/// TUNSETIFF with IFF_TUN and IFF_NO_PI: a name of 16 bytes, flags, and the rest of `struct ifreq`.
private func takeTunnel(_ name: String) -> Int32 {
    let descriptor = unsafe open("/dev/net/tun", O_RDWR | O_CLOEXEC)
    var request = Array(name.utf8) + [UInt8](repeating: 0, count: 16 - name.utf8.count) + [0x01, 0x10]
    request += [UInt8](repeating: 0, count: 22)
    return unsafe ioctl(descriptor, 0x4004_54ca, &request) == 0 ? descriptor : -errno
}
