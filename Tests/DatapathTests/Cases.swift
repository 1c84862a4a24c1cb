import CPosternABI
import Mesh

@testable import Datapath

private func udp(_ port: UInt16) -> @Sendable (Frame.Family) -> Frame {
    { .udp($0, from: Who.agent, 40_000, to: Who.node, port, payload: [1, 2, 3]) }
}

private func udpAnswer(_ port: UInt16) -> @Sendable (Frame.Family) -> Frame {
    { .udp($0, from: Who.node, port, to: Who.agent, 40_000) }
}

private func icmp(
    _ type: (v4: UInt8, v6: UInt8), from source: MeshOffset = Who.agent, to destination: MeshOffset = Who.node
) -> @Sendable (Frame.Family) -> Frame {
    { .icmp($0, from: source, to: destination, type, echo: 7) }
}

/// The node tells the agent of what it sent, or the other way round.
private func error(
    toAgent: Bool = true, _ quote: @escaping @Sendable (Frame.Family) -> Frame, keeping bytes: Int = 400
) -> @Sendable (Frame.Family) -> Frame {
    let (from, to) = toAgent ? (Who.node, Who.agent) : (Who.agent, Who.node)
    return { family in
        .icmp(
            family, from: from, to: to, Frame.unreachable, quoting: Array(quote(family).packet.prefix(bytes)))
    }
}

private func call(_ port: UInt16) -> @Sendable (Frame.Family) -> Frame {
    { .tcp($0, from: Who.agent, 40_000, to: Who.node, port, flags: Frame.syn) }
}

private func reply(_ port: UInt16) -> @Sendable (Frame.Family) -> Frame {
    { .tcp($0, from: Who.node, port, to: Who.agent, 40_000, flags: Frame.ack) }
}

private func extended(_ headers: [UInt8]) -> @Sendable (Frame.Family) -> Frame {
    { call(Who.web)($0).extended(by: headers) }
}

/// One packet for each way through UDP, ICMP, extension headers, a node's own calls and routed networks.
extension ClassifierTests {
    static let udp: [Case] = [
        Case(reason: .allowed, frame: DatapathTests.udp(Who.dns)),
        Case(reason: .noService, frame: DatapathTests.udp(54)),
        Case(reason: .noService, frame: DatapathTests.udp(Who.web)),
        Case(reason: .allowed, frame: DatapathTests.udp(Who.dns), device: Who.agentDevice, direction: .egress),
        Case(reason: .noGrant, frame: DatapathTests.udp(Who.dns)) { $0.verdicts[Who.cell(Who.agentSlot, 2)] = nil },
        Case(reason: .allowedAnswer, frame: udpAnswer(Who.dns), direction: .egress),
        Case(reason: .noGrant, frame: udpAnswer(Who.dns), direction: .egress) {
            $0.verdicts[Who.cell(Who.agentSlot, 2)] = nil
        },
        Case(reason: .unasked, frame: udpAnswer(Who.dns), device: Who.agentDevice),
        Case(reason: .truncated, frame: { DatapathTests.udp(Who.dns)($0).with($0 == .v4 ? 25 : 45, 7) }),
        Case(reason: .truncated, frame: { DatapathTests.udp(Who.dns)($0).with($0 == .v4 ? 25 : 45, 12) }),
        Case(reason: .allowed, frame: call(Who.timed)),
        Case(reason: .grantEnded, frame: call(Who.ended)),
        Case(reason: .sidecarOnly, frame: call(Who.timed), device: Who.agentDevice, direction: .egress) {
            $0.timed[Who.cell(Who.agentSlot, 3)] = TimedGrant(until: Who.always, verdict: .sidecarOnly, policy: 0)
        },
        Case(reason: .noGrant, frame: call(Who.timed)) {
            $0.timed[Who.cell(Who.agentSlot, 3)] = TimedGrant(until: Who.always, verdict: .deny, policy: 0)
        },
        Case(reason: .grantEnded, frame: reply(Who.ended), direction: .egress),
    ]

    static let icmp: [Case] = [
        Case(reason: .allowed, frame: DatapathTests.icmp(Frame.echoRequest)),
        Case(
            reason: .allowed, frame: DatapathTests.icmp(Frame.echoRequest), device: Who.agentDevice, direction: .egress),
        Case(
            reason: .allowedAnswer, frame: DatapathTests.icmp(Frame.echoReply, from: Who.node, to: Who.agent),
            direction: .egress),
        Case(
            reason: .unasked, frame: DatapathTests.icmp(Frame.echoReply, from: Who.node, to: Who.agent),
            device: Who.agentDevice),
        Case(
            reason: .noService, frame: DatapathTests.icmp(Frame.echoRequest, from: Who.node, to: Who.agent),
            device: Who.agentDevice),
        Case(reason: .noService, frame: DatapathTests.icmp(Frame.echoReply)),
        Case(reason: .noGrant, frame: DatapathTests.icmp(Frame.echoRequest, from: Who.stranger)),
        Case(reason: .icmpUnsupported, frame: DatapathTests.icmp((5, 137))),
        Case(reason: .icmpUnsupported, frame: DatapathTests.icmp((9, 133))),
        Case(reason: .icmpUnsupported, frame: DatapathTests.icmp((10, 134))),
        Case(reason: .icmpUnsupported, frame: DatapathTests.icmp((13, 135))),
        Case(reason: .icmpUnsupported, frame: DatapathTests.icmp((17, 136))),
        Case(reason: .icmpUnsupported, frame: DatapathTests.icmp((40, 143))),
        Case(
            reason: .protocolUnsupported,
            frame: {
                .ip(
                    $0, from: Who.agent, to: Who.node, transport: $0 == .v4 ? 58 : 1,
                    payload: [UInt8](repeating: 0, count: 8))
            }),
        Case(
            reason: .truncated, frame: { .ip($0, from: Who.agent, to: Who.node, transport: $0.icmp, payload: [8, 0]) }),
        Case(reason: .allowedError, frame: error(call(Who.web)), device: Who.agentDevice),
        Case(reason: .allowedError, frame: error(call(Who.web), keeping: 48), device: Who.agentDevice),
        Case(reason: .allowedError, frame: error(call(Who.sidecarred)), device: Who.agentDevice),
        Case(reason: .allowedError, frame: error(DatapathTests.udp(Who.dns)), direction: .egress),
        Case(reason: .allowedError, frame: error(DatapathTests.icmp(Frame.echoRequest)), direction: .egress),
        Case(reason: .allowedError, frame: error(toAgent: false, reply(Who.web))),
        Case(
            reason: .allowedError,
            frame: error(toAgent: false, DatapathTests.icmp(Frame.echoReply, from: Who.node, to: Who.agent))),
        Case(reason: .unrelatedError, frame: error(call(22)), device: Who.agentDevice),
        Case(reason: .unrelatedError, frame: error(reply(Who.web)), device: Who.agentDevice),
        Case(reason: .unrelatedError, frame: error(toAgent: false, call(Who.web))),
        Case(reason: .unrelatedError, frame: error(DatapathTests.icmp((5, 137))), direction: .egress),
        Case(
            reason: .unrelatedError,
            frame: error(toAgent: false, DatapathTests.icmp(Frame.echoRequest, from: Who.node, to: Who.agent))),
        Case(reason: .unrelatedError, frame: error { call(Who.web)($0).with(0, 0x95) }, device: Who.agentDevice),
        Case(reason: .truncated, frame: error(call(Who.web), keeping: 24), device: Who.agentDevice),
        Case(reason: .truncated, frame: error(call(Who.web), keeping: 0), device: Who.agentDevice),
    ]

    static let headers: [Case] = [
        Case(reason: .allowed, frame: extended([0]), families: [.v6]),
        Case(reason: .allowed, frame: extended([0, 60, 60]), families: [.v6]),
        Case(reason: .allowed, frame: extended([UInt8](repeating: 60, count: 8)), families: [.v6]),
        Case(reason: .longHeaders, frame: extended([UInt8](repeating: 60, count: 9)), families: [.v6]),
        Case(reason: .longHeaders, frame: { extended([60])($0).with(41, 32) }, families: [.v6]),
        Case(reason: .extensionHeader, frame: extended([60, 0]), families: [.v6]),
        Case(reason: .extensionHeader, frame: extended([51]), families: [.v6]),
        Case(reason: .extensionHeader, frame: extended([60, 135]), families: [.v6]),
        Case(reason: .extensionHeader, frame: extended([139]), families: [.v6]),
        Case(reason: .extensionHeader, frame: extended([140]), families: [.v6]),
        Case(reason: .routingHeader, frame: extended([43]), families: [.v6]),
        Case(reason: .routingHeader, frame: extended([0, 60, 43]), families: [.v6]),
        Case(reason: .fragment, frame: extended([60, 44]), families: [.v6]),
        Case(reason: .truncated, frame: { extended([60])($0).with(41, 9) }, families: [.v6]),
        Case(
            reason: .truncated,
            frame: { .ip($0, from: Who.agent, to: Who.node, transport: 60, payload: [6, 0]) }, families: [.v6]),
        Case(reason: .protocolUnsupported, frame: { extended([60])($0).with(40, 59) }, families: [.v6]),
        // A jumbogram says that it has no length.
        Case(reason: .truncated, frame: { extended([0])($0).with(4, 0).with(5, 0) }, families: [.v6]),
        Case(reason: .truncated, frame: { call(Who.web)($0).with(2, 0).with(3, 19) }, families: [.v4]),
        Case(reason: .truncated, frame: { call(Who.web)($0).with(2, 0xff).with(3, 0xff) }, families: [.v4]),
        Case(reason: .truncated, frame: { call(Who.web)($0).with($0 == .v4 ? 32 : 52, 0x40) }),
        Case(reason: .truncated, frame: { call(Who.web)($0).with($0 == .v4 ? 32 : 52, 0x60) }),
        Case(reason: .ipOptions, frame: { call(Who.web)($0).with(0, 0x4f) }, families: [.v4]),
    ]

    /// The node calls a service of the stranger's.
    private static let outwards: @Sendable (Frame.Family) -> Frame = {
        .udp($0, from: Who.node, 4747, to: Who.stranger, 4747)
    }

    private static let nodeToNode: @Sendable (inout TableSet) -> Void = { set in
        set.services[Who.service(Who.strangerSlot, 4747, .udp)] = ServiceClass(rawValue: 9)!
        set.rows[Who.nodeSlot] = Who.first
        set.verdicts[Who.cell(Who.nodeSlot, 9)] = .allow
    }

    static let opening: [Case] = [
        Case(reason: .allowed, frame: outwards, direction: .egress, change: nodeToNode),
        Case(reason: .nodeOpens, frame: outwards, device: Who.closedDevice, direction: .egress, change: nodeToNode),
        Case(reason: .noService, frame: outwards, direction: .egress),
        Case(reason: .noGrant, frame: outwards, direction: .egress) {
            nodeToNode(&$0)
            $0.verdicts[Who.cell(Who.nodeSlot, 9)] = nil
        },
        Case(
            reason: .forwarded, frame: outwards, direction: .egress, metadata: Metadata(arrivedAt: 1),
            change: nodeToNode),
    ]

    private static let (v4Outside, v6Outside) = (
        IPv4Address("192.0.2.7")!, IPv6Address(high: 0x2001_0db8 << 32, low: 7)
    )

    private static func fromOutside(_ port: UInt16) -> @Sendable (Frame.Family) -> Frame {
        { family in
            let segment = Array(call(port)(family).packet.dropFirst(family == .v4 ? 20 : 40))
            return family == .v4
                ? .v4(v4Outside, pool.ipv4(at: Who.node), 6, segment)
                : .v6(v6Outside, pool.ipv6(at: Who.node), 6, segment)
        }
    }

    private static func toOutside(_ port: UInt16, flags: UInt8) -> @Sendable (Frame.Family) -> Frame {
        { family in
            let whole = Frame.tcp(family, from: Who.node, port, to: Who.agent, 40_000, flags: flags)
            let segment = Array(whole.packet.dropFirst(family == .v4 ? 20 : 40))
            return family == .v4
                ? .v4(pool.ipv4(at: Who.node), v4Outside, 6, segment)
                : .v6(pool.ipv6(at: Who.node), v6Outside, 6, segment)
        }
    }

    private static let routing: @Sendable (inout TableSet) -> Void = { set in
        set.routes[RoutedPrefix(.v4(IPv4Address("192.0.2.0")!), length: 24)!] = Who.entry(Who.agentSlot)
        set.routes[RoutedPrefix(.v6(IPv6Address(high: 0x2001_0db8 << 32, low: 0)), length: 32)!] = Who.entry(
            Who.agentSlot)
    }

    private static let fromNobody: @Sendable (Frame.Family) -> Frame = {
        .tcp($0, from: Who.nobody, 40_000, to: Who.node, Who.web, flags: Frame.syn)
    }

    private static let coveringThePool: @Sendable (inout TableSet) -> Void = { set in
        set.routes[RoutedPrefix(.v4(IPv4Address("10.0.0.0")!), length: 8)!] = Who.entry(Who.agentSlot)
        set.routes[RoutedPrefix(.v6(IPv6Address(high: 0xfd << 56, low: 0)), length: 8)!] = Who.entry(Who.agentSlot)
    }

    static let routed: [Case] = [
        Case(reason: .outsidePool, frame: fromOutside(Who.web)),
        Case(reason: .allowed, frame: fromOutside(Who.web), change: routing),
        Case(reason: .noGrant, frame: fromOutside(Who.admin), change: routing),
        Case(reason: .allowedAnswer, frame: toOutside(Who.web, flags: Frame.ack), direction: .egress, change: routing),
        Case(reason: .answerFlags, frame: toOutside(Who.web, flags: Frame.syn), direction: .egress, change: routing),
        Case(reason: .leaseExpired, frame: fromOutside(Who.web)) { set in
            routing(&set)
            for prefix in set.routes.keys { set.routes[prefix] = Who.entry(Who.agentSlot, until: Who.past) }
        },
        Case(reason: .staleGeneration, frame: fromOutside(Who.web)) { set in
            routing(&set)
            for prefix in set.routes.keys { set.routes[prefix] = Who.entry(Who.agentSlot, Who.second) }
        },
        // Nobody is reached behind a peer, though a service of the peer's own has the port.
        Case(reason: .noService, frame: toOutside(40_001, flags: Frame.syn), direction: .egress) { set in
            routing(&set)
            set.services[Who.service(Who.agentSlot, 40_000)] = ServiceClass(rawValue: 9)!
            set.rows[Who.nodeSlot] = Who.first
            set.verdicts[Who.cell(Who.nodeSlot, 9)] = .allow
        },
        // A network that covers the pool says nothing of the pool.
        Case(reason: .unknownPeer, frame: fromNobody, change: coveringThePool),
    ]
}
