import CPosternABI
import Mesh
import Testing

@testable import Datapath

/// One crafted packet and what must become of it.
struct Case: CustomTestStringConvertible, Sendable {
    let reason: Reason
    let frame: @Sendable (Frame.Family) -> Frame
    var device = Who.nodeDevice
    var direction = Direction.ingress
    var metadata = Metadata()
    var change: @Sendable (inout TableSet) -> Void = { _ in }
    var families = Frame.Family.allCases

    var testDescription: String { "\(device.kind) \(direction): \(reason)" }
}

private func open(_ port: UInt16, from who: MeshOffset = Who.agent, flags: UInt8 = Frame.syn)
    -> @Sendable (Frame.Family) -> Frame
{
    { .tcp($0, from: who, 40_000, to: Who.node, port, flags: flags) }
}

private func answer(_ port: UInt16, to who: MeshOffset = Who.agent, flags: UInt8) -> @Sendable (Frame.Family) -> Frame {
    { .tcp($0, from: Who.node, port, to: who, 40_000, flags: flags) }
}

private let anySegment = [UInt8](repeating: 0, count: 12) + [0x50, 0, 0, 0, 0, 0, 0, 0]

private func plain(_ transport: UInt8, _ payload: [UInt8]) -> @Sendable (Frame.Family) -> Frame {
    { .ip($0, from: Who.agent, to: Who.node, transport: transport, payload: payload) }
}

@Suite struct ClassifierTests {
    static let ingress: [Case] = [
        Case(reason: .allowed, frame: open(Who.web)),
        Case(reason: .allowed, frame: open(Who.web, flags: Frame.ack)),
        Case(reason: .allowed, frame: open(Who.sidecarred)),
        Case(reason: .noGrant, frame: open(Who.admin)),
        Case(reason: .noGrant, frame: open(Who.web, from: Who.stranger)),
        Case(reason: .noService, frame: open(22)),
        Case(reason: .unknownPeer, frame: open(Who.web, from: Who.nobody)),
        Case(reason: .unknownPeer, frame: open(Who.web, from: Who.node)),
        Case(
            reason: .outsidePool,
            frame: { _ in
                .v4(IPv4Address("192.168.1.7")!, pool.ipv4(at: Who.node), 6, anySegment)
            }),
        Case(
            reason: .outsidePool,
            frame: { _ in
                .v6(
                    IPv6Address(high: pool.v6Prefix, low: 1 << 32 | 70_000), pool.ipv6(at: Who.node), 6, anySegment)
            }),
        Case(
            reason: .notOwnAddress,
            frame: { .tcp($0, from: Who.agent, 40_000, to: Who.stranger, Who.web, flags: Frame.syn) }),
        Case(reason: .protocolUnsupported, frame: plain(47, [0, 0, 0, 0])),
        Case(reason: .truncated, frame: plain(6, [0x9c, 0x40, 0x1f, 0x90])),
        Case(reason: .truncated, frame: plain(17, [0x9c, 0x40, 0, 53])),
        Case(reason: .truncated, frame: { open(Who.web)($0).with($0 == .v4 ? 2 : 4, 1) }),
        Case(reason: .truncated, frame: { open(Who.web)($0).with(0, 0x44) }, families: [.v4]),
        Case(reason: .notIP, frame: { open(Who.web)($0).with(0, 0x95) }),
        Case(reason: .notIP, frame: { open(Who.web)($0).with(-1, 0x06) }),
        Case(reason: .ipOptions, frame: { open(Who.web)($0).with(0, 0x46) }, families: [.v4]),
        Case(reason: .fragment, frame: { open(Who.web)($0).with(6, 0x20) }, families: [.v4]),
        Case(reason: .fragment, frame: { open(Who.web)($0).with(7, 1) }, families: [.v4]),
        Case(reason: .fragment, frame: plain(44, [6, 0, 0, 0, 0, 0, 0, 0]), families: [.v6]),
        Case(reason: .ownLease, frame: open(Who.web)) { $0.peers[Who.node] = nil },
        Case(reason: .ownLease, frame: open(Who.web)) { $0.peers[Who.node] = Who.entry(Who.nodeSlot, until: Who.past) },
        Case(reason: .ownLease, frame: open(Who.web)) { $0.peers[Who.node] = Who.entry(Who.strangerSlot) },
        Case(reason: .ownLease, frame: open(Who.web)) { $0.peers[Who.node] = Who.entry(Who.nodeSlot, Who.second) },
        Case(reason: .leaseExpired, frame: open(Who.web)) {
            $0.peers[Who.agent] = Who.entry(Who.agentSlot, until: Who.past)
        },
        Case(reason: .staleGeneration, frame: open(Who.web)) { $0.rows[Who.agentSlot] = nil },
        Case(reason: .staleGeneration, frame: open(Who.web)) { $0.rows[Who.agentSlot] = Who.second },
        Case(reason: .staleGeneration, frame: open(Who.web)) {
            $0.peers[Who.agent] = Who.entry(Who.agentSlot, Who.second)
        },
        Case(reason: .noGrant, frame: open(Who.web)) { $0.verdicts[Who.cell(Who.agentSlot, 1)] = nil },
    ]

    static let egress: [Case] = [
        Case(reason: .allowedAnswer, frame: answer(Who.web, flags: Frame.syn | Frame.ack), direction: .egress),
        Case(reason: .allowedAnswer, frame: answer(Who.web, flags: Frame.rst), direction: .egress),
        Case(reason: .allowedAnswer, frame: answer(Who.sidecarred, flags: Frame.ack), direction: .egress),
        Case(reason: .answerFlags, frame: answer(Who.web, flags: Frame.syn), direction: .egress),
        Case(reason: .answerFlags, frame: answer(Who.web, flags: Frame.syn | Frame.rst), direction: .egress),
        Case(reason: .answerFlags, frame: answer(Who.web, flags: 0), direction: .egress),
        Case(reason: .noGrant, frame: answer(Who.admin, flags: Frame.ack), direction: .egress),
        Case(reason: .noService, frame: answer(33_333, flags: Frame.syn), direction: .egress),
        Case(
            reason: .forwarded, frame: answer(Who.web, flags: Frame.ack), direction: .egress,
            metadata: Metadata(arrivedAt: 1)),
        Case(
            reason: .notOwnAddress,
            frame: { .tcp($0, from: Who.stranger, Who.web, to: Who.agent, 40_000, flags: Frame.ack) },
            direction: .egress),
    ]

    static let session: [Case] = [
        Case(reason: .allowed, frame: open(Who.web), device: Who.agentDevice, direction: .egress),
        Case(reason: .ownLease, frame: open(Who.web), device: Who.agentDevice, direction: .egress) {
            $0.peers[Who.agent] = Who.entry(Who.agentSlot, Who.second)
            $0.rows[Who.agentSlot] = Who.second
        },
        Case(reason: .noGrant, frame: open(Who.admin), device: Who.agentDevice, direction: .egress),
        Case(reason: .noService, frame: open(22), device: Who.agentDevice, direction: .egress),
        Case(reason: .sidecarOnly, frame: open(Who.sidecarred), device: Who.agentDevice, direction: .egress),
        Case(
            reason: .allowed, frame: open(Who.sidecarred), device: Who.agentDevice, direction: .egress,
            metadata: Metadata(mark: UInt32(PT_SIDECAR_MARK))),
        Case(
            reason: .noGrant, frame: open(Who.admin), device: Who.agentDevice, direction: .egress,
            metadata: Metadata(mark: UInt32(PT_SIDECAR_MARK))),
        Case(
            reason: .notOwnAddress, frame: open(Who.web, from: Who.stranger), device: Who.agentDevice,
            direction: .egress),
        Case(reason: .allowedAnswer, frame: answer(Who.web, flags: Frame.ack), device: Who.agentDevice),
        Case(reason: .allowedAnswer, frame: answer(Who.sidecarred, flags: Frame.ack), device: Who.agentDevice),
        Case(reason: .answerFlags, frame: answer(Who.web, flags: Frame.syn), device: Who.agentDevice),
        Case(reason: .noService, frame: answer(1024, flags: Frame.syn), device: Who.agentDevice),
        Case(
            reason: .notOwnAddress, frame: answer(Who.web, to: Who.stranger, flags: Frame.ack),
            device: Who.agentDevice),
    ]

    static let all = ingress + egress + session + udp + icmp + headers + opening + routed

    @Test func `each packet has its one reason`() throws {
        var held = Who.tables
        let world = try World(held)
        for test in Self.all {
            var set = Who.tables
            test.change(&set)
            try world.change(from: held, to: set)
            held = set
            for family in test.families {
                let reason = try world.judge(test.frame(family), at: test.device, test.direction, test.metadata)
                #expect(reason == test.reason, "\(test.testDescription), \(family)")
            }
        }
    }

    @Test func `every reason of the classifier is met by a case`() {
        let met = Set(Self.all.map(\.reason))
        #expect(Set(Reason.allCases).subtracting(met) == [.allowedLoopback, .besideTunnel, .leavesBesideTunnel])
    }

    @Test func `nothing is allowed by empty tables`() throws {
        let world = try World(TableSet())
        for test in Self.all {
            for family in test.families {
                let reason = try world.judge(test.frame(family), at: test.device, test.direction, test.metadata)
                #expect(!reason.isAllowed)
            }
        }
    }

    @Test func `ending a grant ends its live flow in both directions`() throws {
        let world = try World()
        let data = Frame.tcp(.v4, from: Who.agent, 40_000, to: Who.node, Who.web, flags: Frame.ack)
        let reply = Frame.tcp(.v4, from: Who.node, Who.web, to: Who.agent, 40_000, flags: Frame.ack)
        #expect(try world.judge(data, at: Who.nodeDevice, .ingress) == .allowed)
        #expect(try world.judge(reply, at: Who.nodeDevice, .egress) == .allowedAnswer)
        var narrower = Who.tables
        narrower.verdicts[Who.cell(Who.agentSlot, 1)] = nil
        try world.tables.tighten(Who.tables.changes(to: narrower))
        #expect(try world.judge(data, at: Who.nodeDevice, .ingress) == .noGrant)
        #expect(try world.judge(reply, at: Who.nodeDevice, .egress) == .noGrant)
    }

    @Test func `a lease ends in the kernel by itself`() throws {
        let lease = BootTime.now() + .milliseconds(300)
        var set = Who.tables
        set.peers[Who.agent] = Who.entry(Who.agentSlot, until: lease)
        let world = try World(set)
        let data = Frame.tcp(.v6, from: Who.agent, 40_000, to: Who.node, Who.web, flags: Frame.ack)
        var met: [Reason] = []
        #expect(
            try eventually {
                let reason = try world.judge(data, at: Who.nodeDevice, .ingress)
                if met.last != reason { met.append(reason) }
                return reason == .leaseExpired
            })
        #expect(BootTime.now() >= lease)
        #expect(met.last == .leaseExpired && met.dropLast().allSatisfy { $0 == .allowed })
    }

    @Test func `the reasons and places have the numbers of the kernel's side`() {
        let reasons: [(Reason, pt_reason)] = [
            (.allowed, PT_ALLOWED), (.allowedAnswer, PT_ALLOWED_ANSWER), (.allowedLoopback, PT_ALLOWED_LOOPBACK),
            (.notIP, PT_NOT_IP), (.truncated, PT_TRUNCATED), (.ipOptions, PT_IP_OPTIONS),
            (.extensionHeader, PT_EXTENSION_HEADER), (.fragment, PT_FRAGMENT), (.notOwnAddress, PT_NOT_OWN_ADDRESS),
            (.forwarded, PT_FORWARDED), (.outsidePool, PT_OUTSIDE_POOL), (.ownLease, PT_OWN_LEASE),
            (.unknownPeer, PT_UNKNOWN_PEER), (.leaseExpired, PT_LEASE_EXPIRED),
            (.unasked, PT_UNASKED), (.icmpUnsupported, PT_ICMP_UNSUPPORTED),
            (.protocolUnsupported, PT_PROTOCOL_UNSUPPORTED), (.noService, PT_NO_SERVICE),
            (.staleGeneration, PT_STALE_GENERATION), (.noGrant, PT_NO_GRANT), (.sidecarOnly, PT_SIDECAR_ONLY),
            (.answerFlags, PT_ANSWER_FLAGS), (.nodeOpens, PT_NODE_OPENS), (.besideTunnel, PT_BESIDE_TUNNEL),
            (.leavesBesideTunnel, PT_LEAVES_BESIDE_TUNNEL), (.grantEnded, PT_GRANT_ENDED),
            (.allowedError, PT_ALLOWED_ERROR), (.unrelatedError, PT_UNRELATED_ERROR),
            (.routingHeader, PT_ROUTING_HEADER), (.longHeaders, PT_LONG_HEADERS),
        ]
        #expect(reasons.allSatisfy { $0.0.rawValue == $0.1.rawValue })
        #expect(Set(reasons.map(\.0)).count == Reason.allCases.count)
        let places: [(Place, pt_place)] = [
            (.nodeIngress, PT_NODE_INGRESS), (.nodeEgress, PT_NODE_EGRESS), (.sessionIngress, PT_SESSION_INGRESS),
            (.sessionEgress, PT_SESSION_EGRESS), (.connect, PT_CONNECT), (.wall, PT_WALL),
        ]
        #expect(places.allSatisfy { $0.0.rawValue == $0.1.rawValue } && places.count == Place.allCases.count)
        #expect(Verdict.allow.rawValue == UInt8(PT_ALLOW.rawValue))
        #expect(Verdict.sidecarOnly.rawValue == UInt8(PT_ALLOW_SIDECAR.rawValue))
    }
}
