import CLinux
import Glibc
import Mesh
import Testing

@testable import Datapath

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
