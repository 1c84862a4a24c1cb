import CLinux
import Glibc
import Mesh
import Testing

@testable import Datapath

/// A node's TUN device in a namespace of its own: the test writes and reads what WireGuard would.
final class Tunnel {
    let namespace: Namespace
    let interface: UInt32
    private let descriptor: Int32

    init() throws {
        namespace = try Namespace()
        try namespace.ip("tuntap add mesh0 mode tun")
        interface = try namespace.index(of: "mesh0")
        descriptor = try openTunnel("mesh0", in: namespace)
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
    func readTCP(within milliseconds: Int32) -> [UInt8]? {
        var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        while unsafe poll(&waiting, 1, milliseconds) == 1 {
            var buffer = [UInt8](repeating: 0, count: 2048)
            let count = unsafe read(descriptor, &buffer, buffer.count)
            if count >= 40, buffer[0] == 0x45, buffer[9] == 6 { return Array(buffer[..<count]) }
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

@Suite struct AttachTests {
    private let opening = Frame.tcp(.v4, from: Who.agent, 40_000, to: Who.node, Who.web, flags: Frame.syn)
        .checksummed().packet

    @Test func `a granted call gets through a real device and is answered`() throws {
        let (tunnel, mount) = (try Tunnel(), try PinMount())
        let tables = try attach(to: tunnel, mount, Who.tables)
        let listener = try tunnel.namespace.listen(port: Who.web)
        try tunnel.write(opening)
        let answer = try #require(tunnel.readTCP(within: 2_000))
        #expect(answer[33] == Frame.syn | Frame.ack)
        #expect(try tables.counts(at: .nodeIngress) == [.allowed: Count(packets: 1, bytes: 40)])
        #expect(try tables.counts(at: .nodeEgress)[.allowedAnswer]?.packets == 1)
        _ = consume listener
    }

    @Test func `a call without a grant is dropped, and so is what cannot be parsed`() throws {
        let (tunnel, mount) = (try Tunnel(), try PinMount())
        var set = Who.tables
        set.verdicts = [:]
        let tables = try attach(to: tunnel, mount, set)
        let listener = try tunnel.namespace.listen(port: Who.web)
        try tunnel.write(opening)
        try tunnel.write(Array(opening[..<20]))
        try tunnel.write(Array(opening[..<30]))
        try tunnel.write([0x45])
        try tunnel.write([0x60, 0, 0, 0])
        #expect(tunnel.readTCP(within: 100) == nil)
        let counts = try tables.counts(at: .nodeIngress)
        #expect(counts[.noGrant]?.packets == 1)
        #expect(counts[.truncated]?.packets == 4)
        #expect(counts[.allowed] == nil)
        _ = consume listener
    }

    @Test func `taking a grant away cuts a flow on a real device`() throws {
        let (tunnel, mount) = (try Tunnel(), try PinMount())
        let tables = try attach(to: tunnel, mount, Who.tables)
        let listener = try tunnel.namespace.listen(port: Who.web)
        try tunnel.write(opening)
        #expect(tunnel.readTCP(within: 2_000) != nil)
        try tables.tighten(Who.tables.changes(to: TableSet()))
        // The node repeats its answer after a second, and that too is judged.
        #expect(try eventually { try tables.counts(at: .nodeEgress)[.ownLease] != nil })
        try tunnel.write(opening)
        #expect(try tables.counts(at: .nodeIngress)[.allowed]?.packets == 1)
        _ = consume listener
    }

    @Test func `the pinned classifier is verified, outlives its maker and is replaced without a gap`() throws {
        let (tunnel, mount) = (try Tunnel(), try PinMount())
        let pins = mount.path + "/devices/mesh0"
        func verify() throws(DatapathError) {
            try Classifier.verify(interface: tunnel.interface, netns: tunnel.namespace.descriptor, pins: pins)
        }
        #expect(throws: DatapathError.self) { try verify() }
        let tables = try attach(to: tunnel, mount, Who.tables)
        try verify()
        try Classifier.attach(
            interface: tunnel.interface, netns: tunnel.namespace.descriptor, identity: Who.agentDevice, tables: tables,
            pins: pins)
        try verify()
        try tunnel.write(opening)
        #expect(try tables.counts(at: .sessionIngress)[.notOwnAddress]?.packets == 1)
        #expect(try tables.counts(at: .nodeIngress)[.allowed] == nil)
        try Classifier.detach(pins: pins)
        let error = #expect(throws: DatapathError.self) { try verify() }
        #expect(error?.cause == "it is not attached")
    }

    @Test func `a program that stands before ours is noticed`() throws {
        let (tunnel, mount) = (try Tunnel(), try PinMount())
        let tables = try attach(to: tunnel, mount, Who.tables)
        let (descriptor, index) = (tunnel.namespace.descriptor, tunnel.interface)
        try Classifier.attach(
            interface: index, netns: descriptor, identity: Who.nodeDevice, tables: tables, pins: mount.path + "/other")
        let error = #expect(throws: DatapathError.self) {
            try Classifier.verify(interface: index, netns: descriptor, pins: mount.path + "/devices/mesh0")
        }
        #expect(error?.cause == "another program stands before it")
    }

    @Test func `an interface that is not there is named`() throws {
        let world = try World()
        let namespace = try Namespace()
        let error = #expect(throws: DatapathError.self) {
            try Classifier.attach(
                interface: 4711, netns: namespace.descriptor, identity: Who.nodeDevice, tables: world.tables,
                pins: world.mount.path + "/devices/none")
        }
        #expect(error?.description == "cannot attach the classifier to interface 4711: no such device")
    }

    private func attach(to tunnel: Tunnel, _ mount: PinMount, _ set: TableSet) throws -> Tables {
        let tables = try Tables(pins: mount.path + "/tables")
        try tables.loosen(TableSet().changes(to: set))
        try Classifier.attach(
            interface: tunnel.interface, netns: tunnel.namespace.descriptor, identity: Who.nodeDevice, tables: tables,
            pins: mount.path + "/devices/mesh0")
        try tunnel.up()
        return tables
    }
}
