import Mesh
import Testing

@testable import Datapath

/// A packet of each kind, cut at every byte.
@Suite struct TruncationTests {
    private static func whole(_ family: Frame.Family) -> [Frame] {
        let tcp = Frame.tcp(family, from: Who.agent, 40_000, to: Who.node, Who.web, flags: Frame.ack)
        let answer = Frame.tcp(family, from: Who.node, Who.web, to: Who.agent, 40_000, flags: Frame.ack)
        var frames = [
            tcp, .udp(family, from: Who.agent, 40_000, to: Who.node, Who.dns, payload: [1, 2, 3]),
            .icmp(family, from: Who.agent, to: Who.node, Frame.echoRequest, echo: 1),
            .icmp(family, from: Who.agent, to: Who.node, Frame.unreachable, quoting: answer.packet),
        ]
        if family == .v6 { frames.append(tcp.extended(by: [0, 60])) }
        return frames
    }

    /// What the kernel's test run takes: a whole IP header.
    private static func least(_ family: Frame.Family) -> Int { Frame.ethernet + (family == .v4 ? 20 : 40) }

    @Test(arguments: Frame.Family.allCases)
    func `a packet that ends before its header says is dropped as that, wherever it ends`(family: Frame.Family) throws {
        let world = try World()
        for frame in Self.whole(family) {
            #expect(try world.judge(frame, at: Who.nodeDevice, .ingress).isAllowed)
            for length in Self.least(family)..<frame.bytes.count {
                let cut = Frame(bytes: Array(frame.bytes[..<length]))
                #expect(try world.judge(cut, at: Who.nodeDevice, .ingress) == .truncated, "\(length) bytes")
            }
        }
    }

    @Test(arguments: Frame.Family.allCases)
    func `a header that owns up to the cut makes nothing pass that the model denies`(family: Frame.Family) throws {
        let world = try World()
        var model = Model(device: Who.nodeDevice)
        model.tables = Who.tables
        for frame in Self.whole(family) {
            for length in Self.least(family)...frame.bytes.count {
                let cut = Frame(bytes: Array(frame.bytes[..<length])).declared(family)
                let reason = try world.judge(cut, at: Who.nodeDevice, .ingress)
                #expect(reason == model.judge(cut, .ingress, Metadata()), "\(length) bytes")
                // None of these has a transport header of less than eight bytes.
                if length < Self.least(family) + 8 { #expect(!reason.isAllowed, "\(length) bytes") }
            }
        }
    }

    @Test(arguments: Classifier.Attachment.available)
    func `a real device drops what is shorter than any header`(attachment: Classifier.Attachment) throws {
        let (tunnel, mount) = (try Tunnel(), try PinMount())
        let tables = try Tables(pins: mount.path + "/tables")
        try tables.loosen(TableSet().changes(to: Who.tables))
        try Classifier.attach(
            interface: tunnel.interface, netns: tunnel.namespace.descriptor, identity: Who.nodeDevice, tables: tables,
            pins: mount.path + "/devices/mesh0", by: attachment)
        try tunnel.up()
        var written: UInt64 = 0
        for family in Frame.Family.allCases {
            let packet = Frame.tcp(family, from: Who.agent, 40_000, to: Who.node, Who.web, flags: Frame.ack).packet
            for length in 1..<packet.count {
                try tunnel.write(Array(packet[..<length]))
                written += 1
            }
        }
        let counts = try tables.counts(at: .nodeIngress)
        #expect(counts[.truncated]?.packets == written)
        #expect(counts.keys.allSatisfy { !$0.isAllowed })
    }
}

extension Frame {
    /// With the length in its IP header that it has.
    fileprivate func declared(_ family: Family) -> Frame {
        let length = bytes.count - Self.ethernet
        let told = be(UInt16(family == .v4 ? length : length - 40))
        return family == .v4 ? with(2, told[0]).with(3, told[1]) : with(4, told[0]).with(5, told[1])
    }
}
