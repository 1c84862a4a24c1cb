import CLinux
import Foundation
import Glibc
import Mesh
import Testing

@testable import Datapath

extension Classifier.Attachment {
    /// What this kernel can do; filters it always can take.
    static let available: [Self] = Classifier.attachment == .tcx ? [.tcx, .clsact] : [.clsact]
}

@Suite struct AttachTests {
    private let opening = Frame.tcp(.v4, from: Who.agent, 40_000, to: Who.node, Who.web, flags: Frame.syn)
        .checksummed().packet

    @Test(arguments: Classifier.Attachment.available)
    func `a granted call gets through a real device and is answered`(attachment: Classifier.Attachment) throws {
        let (tunnel, mount) = (try Tunnel(), try PinMount())
        let tables = try attach(to: tunnel, mount, Who.tables, attachment)
        let listener = try tunnel.namespace.listen(port: Who.web)
        try tunnel.write(opening)
        let answer = try #require(tunnel.readTCP(within: 2_000))
        #expect(answer[33] == Frame.syn | Frame.ack)
        #expect(try tables.counts(at: .nodeIngress) == [.allowed: Count(packets: 1, bytes: 40)])
        #expect(try tables.counts(at: .nodeEgress)[.allowedAnswer]?.packets == 1)
        _ = consume listener
    }

    @Test(arguments: Classifier.Attachment.available)
    func `a call without a grant is dropped, and so is what cannot be parsed`(attachment: Classifier.Attachment) throws
    {
        let (tunnel, mount) = (try Tunnel(), try PinMount())
        var set = Who.tables
        set.verdicts = [:]
        let tables = try attach(to: tunnel, mount, set, attachment)
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

    @Test(arguments: Classifier.Attachment.available)
    func `taking a grant away cuts a flow on a real device`(attachment: Classifier.Attachment) throws {
        let (tunnel, mount) = (try Tunnel(), try PinMount())
        let tables = try attach(to: tunnel, mount, Who.tables, attachment)
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

    @Test(arguments: Classifier.Attachment.available)
    func `the pinned classifier is verified, outlives its maker and is replaced without a gap`(
        attachment: Classifier.Attachment
    ) throws {
        let (tunnel, mount) = (try Tunnel(), try PinMount())
        let pins = mount.path + "/devices/mesh0"
        func verify() throws(DatapathError) {
            try Classifier.verify(
                interface: tunnel.interface, netns: tunnel.namespace.descriptor, pins: pins, by: attachment)
        }
        #expect(throws: DatapathError.self) { try verify() }
        let tables = try attach(to: tunnel, mount, Who.tables, attachment)
        try verify()
        try Classifier.attach(
            interface: tunnel.interface, netns: tunnel.namespace.descriptor, identity: Who.agentDevice, tables: tables,
            pins: pins, by: attachment)
        try verify()
        try tunnel.write(opening)
        #expect(try tables.counts(at: .sessionIngress)[.notOwnAddress]?.packets == 1)
        #expect(try tables.counts(at: .nodeIngress)[.allowed] == nil)
        try Classifier.detach(pins: pins)
        let error = #expect(throws: DatapathError.self) { try verify() }
        #expect(error?.cause == "it is not attached")
    }

    @Test(.enabled(if: Classifier.attachment == .tcx))
    func `whoever holds the links keeps the classifier when its pins are gone, and not when another has come`() throws {
        let (tunnel, mount) = (try Tunnel(), try PinMount())
        let pins = mount.path + "/devices/mesh0"
        let tables = try attach(to: tunnel, mount, Who.tables, .tcx)
        var held: [Int32] = []
        defer { for link in held { close(link) } }
        try Classifier.withLinks(pins: pins) { links in held = links.map { dup($0) } }
        #expect(held.count == 2)
        func programs() -> Set<UInt32> {
            Set(
                [Int32(PT_TCX_INGRESS), Int32(PT_TCX_EGRESS)].compactMap { type in
                    var first: UInt32 = 0
                    let result = unsafe pt_bpf_first_tcx(
                        tunnel.namespace.descriptor, Int32(tunnel.interface), type, &first)
                    return result == 0 && first != 0 ? first : nil
                })
        }
        let before = programs()
        try Classifier.detach(pins: pins)
        #expect(before.count == 2 && programs() == before)
        try tunnel.write(opening)
        #expect(try eventually { try tables.counts(at: .nodeIngress)[.allowed]?.packets == 1 })
        try Classifier.attach(
            interface: tunnel.interface, netns: tunnel.namespace.descriptor, identity: Who.nodeDevice, tables: tables,
            pins: pins)
        let after = programs()
        #expect(after.count == 2 && after.isDisjoint(with: before))
        // The kernel keeps what is left of the links, which lead nowhere.
        for link in held {
            var information = pt_bpf_link()
            #expect(unsafe pt_bpf_link_info(link, &information) == 0 && information.ifindex == 0)
        }
        try Classifier.detach(pins: pins)
        #expect(programs().isEmpty)
    }

    @Test(.enabled(if: Classifier.attachment == .tcx))
    func `a program that stands before ours is noticed`() throws {
        let (tunnel, mount) = (try Tunnel(), try PinMount())
        let tables = try attach(to: tunnel, mount, Who.tables, .tcx)
        let (descriptor, index) = (tunnel.namespace.descriptor, tunnel.interface)
        let foreign = try Classifier.load(Who.nodeDevice, tables: tables)
        let program = try foreign.descriptor(of: "postern_ingress")
        let link = Descriptor(
            owning: pt_bpf_link_tcx(descriptor, program, Int32(index), Int32(PT_TCX_INGRESS)))
        try #require(link.raw >= 0)
        let error = #expect(throws: DatapathError.self) {
            try Classifier.verify(interface: index, netns: descriptor, pins: mount.path + "/devices/mesh0", by: .tcx)
        }
        #expect(error?.cause == "another program stands before it")
    }

    @Test(arguments: [
        (
            "filter add dev mesh0 ingress prio 1 handle 2 bpf direct-action pinned PIN",
            "another program stands before it"
        ),
        ("filter add dev mesh0 ingress prio 1 handle 2 bpf bytecode '1,6 0 0 0,'", "it has been taken off"),
        ("filter del dev mesh0 egress", "it has been taken off"),
        ("qdisc del dev mesh0 clsact", "it has been taken off"),
    ])
    func `a filter that is asked before ours, or ours gone, is noticed and put back`(
        change: String, complaint: String
    ) throws {
        let (tunnel, mount) = (try Tunnel(), try PinMount())
        let (netns, pins) = (tunnel.namespace.descriptor, mount.path + "/devices/mesh0")
        let tables = try attach(to: tunnel, mount, Who.tables, .clsact)
        try Classifier.verify(interface: tunnel.interface, netns: netns, pins: pins, by: .clsact)
        // A program of its own, of the same kind.
        let foreign = try Classifier.load(Who.agentDevice, tables: tables)
        try PinDirectory(mount.path + "/foreign").replace("program", with: try foreign.program("postern_ingress"))
        let words = change.replacing("PIN", with: mount.path + "/foreign/program")
        try must("nsenter --net=/run/netns/\(tunnel.namespace.name) tc \(words)")
        let error = #expect(throws: DatapathError.self) {
            try Classifier.verify(interface: tunnel.interface, netns: netns, pins: pins, by: .clsact)
        }
        #expect(error?.cause == complaint)
    }

    @Test func `filters are lost by a move to another namespace, and links are not`() throws {
        for attachment in Classifier.Attachment.available {
            let (tunnel, mount, other) = (try Tunnel(), try PinMount(), try Namespace())
            let pins = mount.path + "/devices/mesh0"
            let tables = try attach(to: tunnel, mount, Who.tables, attachment)
            try tunnel.namespace.ip("link set mesh0 netns \(other.name)")
            let index = try other.index(of: "mesh0")
            func verify() throws(DatapathError) {
                try Classifier.verify(interface: index, netns: other.descriptor, pins: pins, by: attachment)
            }
            switch attachment {
            case .tcx: try verify()
            case .clsact: #expect(throws: DatapathError.self) { try verify() }
            }
            try Classifier.attach(
                interface: index, netns: other.descriptor, identity: Who.nodeDevice, tables: tables, pins: pins,
                by: attachment)
            try verify()
        }
    }

    @Test func `the kernel takes programs as this run expects it`() {
        let expected = ProcessInfo.processInfo.environment["POSTERN_TEST_ATTACH"] ?? "tcx"
        #expect(Classifier.attachment.rawValue == expected)
        #expect(Wall.material == (expected == "tcx" ? .links : .table))
    }

    @Test(arguments: Classifier.Attachment.available)
    func `an interface that is not there is named`(attachment: Classifier.Attachment) throws {
        let world = try World()
        let namespace = try Namespace()
        let error = #expect(throws: DatapathError.self) {
            try Classifier.attach(
                interface: 4711, netns: namespace.descriptor, identity: Who.nodeDevice, tables: world.tables,
                pins: world.mount.path + "/devices/none", by: attachment)
        }
        #expect(error?.description == "cannot attach the classifier to interface 4711: no such device")
    }

    private func attach(
        to tunnel: Tunnel, _ mount: PinMount, _ set: TableSet, _ attachment: Classifier.Attachment
    ) throws -> Tables {
        let tables = try Tables(pins: mount.path + "/tables")
        try tables.loosen(TableSet().changes(to: set))
        try Classifier.attach(
            interface: tunnel.interface, netns: tunnel.namespace.descriptor, identity: Who.nodeDevice, tables: tables,
            pins: mount.path + "/devices/mesh0", by: attachment)
        try tunnel.up()
        return tables
    }
}
