import Mesh

@testable import Datapath

/// The classifier, slow and obvious: what each packet's reason must be.
struct Model {
    let tables: TableSet
    let device: DeviceIdentity
    let direction: Direction
    let now = BootTime.now()

    private struct Packet {
        var source: MeshOffset?
        var destination: MeshOffset?
        var transport: UInt8 = 0
        var sourcePort: UInt16 = 0
        var destinationPort: UInt16 = 0
        var flags: UInt8 = 0
    }

    private struct Stop: Error {
        let reason: Reason
        init(_ reason: Reason) { self.reason = reason }
    }

    func judge(_ frame: Frame, _ metadata: Metadata) -> Reason {
        do {
            return try verdict(on: parse(frame.bytes), metadata)
        } catch {
            return error.reason
        }
    }

    // MARK: bytes

    private func parse(_ frame: [UInt8]) throws(Stop) -> Packet {
        let ip = Array(frame.dropFirst(Frame.ethernet))
        switch (frame[12], frame[13]) {
        case (0x08, 0x00): return try parseV4(ip, length: frame.count)
        case (0x86, 0xdd): return try parseV6(ip, length: frame.count)
        default: throw Stop(.notIP)
        }
    }

    private func parseV4(_ ip: [UInt8], length: Int) throws(Stop) -> Packet {
        if ip.count < 20 { throw Stop(.truncated) }
        if ip[0] >> 4 != 4 { throw Stop(.notIP) }
        if ip[0] & 15 < 5 { throw Stop(.truncated) }
        if ip[0] & 15 > 5 { throw Stop(.ipOptions) }
        if number(ip[6..<8]) & 0x3fff != 0 { throw Stop(.fragment) }
        let total = Int(number(ip[2..<4]))
        if total > length { throw Stop(.truncated) }
        var packet = Packet()
        packet.source = pool.offset(of: IPv4Address(rawValue: UInt32(number(ip[12..<16]))))
        packet.destination = pool.offset(of: IPv4Address(rawValue: UInt32(number(ip[16..<20]))))
        packet.transport = ip[9]
        return try parseTransport(ip, at: 20, end: total, packet)
    }

    private func parseV6(_ ip: [UInt8], length: Int) throws(Stop) -> Packet {
        if ip.count < 40 { throw Stop(.truncated) }
        if ip[0] >> 4 != 6 { throw Stop(.notIP) }
        let end = 40 + Int(number(ip[4..<6]))
        if end > length { throw Stop(.truncated) }
        if ip[6] == 44 { throw Stop(.fragment) }
        if [0, 43, 51, 60, 135, 139, 140].contains(ip[6]) { throw Stop(.extensionHeader) }
        var packet = Packet()
        packet.source = offset(high: number(ip[8..<16]), low: number(ip[16..<24]))
        packet.destination = offset(high: number(ip[24..<32]), low: number(ip[32..<40]))
        packet.transport = ip[6]
        return try parseTransport(ip, at: 40, end: end, packet)
    }

    private func parseTransport(_ ip: [UInt8], at start: Int, end: Int, _ parsed: Packet) throws(Stop) -> Packet {
        var packet = parsed
        guard packet.transport == 6 || packet.transport == 17 else { return packet }
        let isTCP = packet.transport == 6
        if start + (isTCP ? 20 : 8) > end || ip.count < start + (isTCP ? 14 : 4) { throw Stop(.truncated) }
        packet.sourcePort = UInt16(number(ip[start..<start + 2]))
        packet.destinationPort = UInt16(number(ip[start + 2..<start + 4]))
        if isTCP { packet.flags = ip[start + 13] }
        return packet
    }

    private func number(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }

    private func offset(high: UInt64, low: UInt64) -> MeshOffset? {
        high == pool.v6Prefix && low < MeshOffset.count ? MeshOffset(rawValue: UInt32(low)) : nil
    }

    // MARK: tables

    private func verdict(on packet: Packet, _ metadata: Metadata) throws(Stop) -> Reason {
        let out = direction == .egress
        if (out ? packet.source : packet.destination) != device.offset { throw Stop(.notOwnAddress) }
        if out, metadata.arrivedAt != 0 { throw Stop(.forwarded) }
        guard let own = tables.peers[device.offset], own.slot == device.slot, own.generation == device.generation,
            own.lease > now
        else { throw Stop(.ownLease) }
        guard let far = out ? packet.destination : packet.source else { throw Stop(.outsidePool) }
        guard let remote = tables.peers[far], far != device.offset else { throw Stop(.unknownPeer) }
        if remote.lease <= now { throw Stop(.leaseExpired) }
        switch packet.transport {
        case 6: break
        case 17: throw Stop(.udpUnsupported)
        case 1, 58: throw Stop(.icmpUnsupported)
        default: throw Stop(.protocolUnsupported)
        }
        let (sender, receiver) = out ? (own, remote) : (remote, own)
        var opening = grant(sender, to: receiver.slot, packet.destinationPort)
        if opening == .sidecarOnly, !out || metadata.mark == 0x706f_7374 { opening = .allowed }
        if out, device.kind == .node { opening = .nodeOpens }
        if opening == .allowed { return .allowed }
        let answering = grant(receiver, to: sender.slot, packet.sourcePort)
        return answer(opening: opening, answering: answering, packet.flags)
    }

    private func answer(opening: Reason, answering: Reason, _ flags: UInt8) -> Reason {
        let isKnown = opening != .noService && opening != .nodeOpens
        switch answering {
        case .noService: return opening
        case .allowed, .sidecarOnly:
            let hasACK = flags & Frame.ack != 0
            let isAnswer = flags & Frame.syn != 0 ? hasACK : hasACK || flags & Frame.rst != 0
            return isAnswer ? .allowedAnswer : isKnown ? opening : .answerFlags
        default: return isKnown ? opening : answering
        }
    }

    private func grant(_ initiator: PeerEntry, to slot: Slot, _ port: UInt16) -> Reason {
        guard let port = Port(rawValue: port),
            let column = tables.services[ServiceKey(slot: slot, port: port, transport: .tcp)]
        else { return .noService }
        guard tables.rows[initiator.slot] == initiator.generation else { return .staleGeneration }
        switch tables.verdicts[VerdictKey(slot: initiator.slot, serviceClass: column)] ?? .deny {
        case .allow: return .allowed
        case .sidecarOnly: return .sidecarOnly
        case .deny: return .noGrant
        }
    }
}
