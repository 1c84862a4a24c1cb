import Mesh

@testable import Datapath

/// The classifier, slow and obvious: what each packet's reason must be.
///
/// It remembers what a device asked, and so is told of every packet in turn.
struct Model {
    let device: DeviceIdentity
    var tables = TableSet()
    private var asked: Set<Question> = []

    private struct Question: Hashable {
        let slot: Slot
        let farPort: UInt16
        let localPort: UInt16
    }

    struct Stop: Error {
        let reason: Reason
        init(_ reason: Reason) { self.reason = reason }
    }

    init(device: DeviceIdentity) { self.device = device }

    mutating func judge(_ frame: Frame, _ direction: Direction, _ metadata: Metadata) -> Reason {
        do {
            let packet = try Parsed(frame.bytes)
            return try verdict(on: packet, out: direction == .egress, metadata)
        } catch {
            return error.reason
        }
    }

    // MARK: ends

    /// Who is at one end of a packet; nobody is served behind a peer.
    private struct End {
        let entry: PeerEntry
        let isBehind: Bool
    }

    private mutating func verdict(on packet: Parsed, out: Bool, _ metadata: Metadata) throws(Stop) -> Reason {
        let (near, far) = out ? (packet.source, packet.destination) : (packet.destination, packet.source)
        if offset(near) != device.offset { throw Stop(.notOwnAddress) }
        if out, metadata.arrivedAt != 0 { throw Stop(.forwarded) }
        guard let entry = tables.peers[device.offset], entry.slot == device.slot,
            entry.generation == device.generation, entry.lease > .now()
        else { throw Stop(.ownLease) }
        let own = End(entry: entry, isBehind: false)
        let remote = try remote(at: far)
        switch packet.transport {
        case 6: return tcp(packet, own, remote, out, metadata)
        case 17: return udp(packet, own, remote, out, metadata)
        case packet.icmp: return icmp(packet, own, remote, out, metadata)
        default: throw Stop(.protocolUnsupported)
        }
    }

    private func offset(_ address: IPAddress) -> MeshOffset? {
        switch address {
        case .v4(let address): pool.offset(of: address)
        case .v6(let address): pool.offset(of: address)
        }
    }

    private func isOfPool(_ address: IPAddress) -> Bool {
        switch address {
        case .v4(let address): pool.contains(address)
        case .v6(let address): address.high == pool.v6Prefix
        }
    }

    private func remote(at address: IPAddress) throws(Stop) -> End {
        let entry: PeerEntry
        if isOfPool(address) {
            // Beyond the offsets there is the rest of the /64, which is the mesh's and nobody's.
            if case .v6(let address) = address, address.low >= MeshOffset.count { throw Stop(.outsidePool) }
            guard let offset = offset(address), offset != device.offset, let found = tables.peers[offset] else {
                throw Stop(.unknownPeer)
            }
            entry = found
        } else {
            let routes = tables.routes.filter { $0.key.contains(address) }
            guard let longest = routes.max(by: { $0.key.length < $1.key.length }) else { throw Stop(.outsidePool) }
            entry = longest.value
        }
        if entry.lease <= .now() { throw Stop(.leaseExpired) }
        return End(entry: entry, isBehind: !isOfPool(address))
    }

    // MARK: grants

    private func grant(_ initiator: End, to host: End, _ transport: TransportProtocol, _ port: UInt16) -> Reason {
        let key = ServiceKey(slot: host.entry.slot, port: Port(rawValue: port), transport: transport)
        guard !host.isBehind, transport == .icmp || port != 0, let column = tables.services[key] else {
            return .noService
        }
        let peer = initiator.entry
        guard tables.rows[peer.slot] == peer.generation else { return .staleGeneration }
        let cell = VerdictKey(slot: peer.slot, serviceClass: column)
        if let verdict = tables.verdicts[cell] { return reason(verdict) }
        guard let timed = tables.timed[cell] else { return .noGrant }
        return timed.until <= .now() ? .grantEnded : reason(timed.verdict)
    }

    private func reason(_ verdict: Verdict) -> Reason {
        switch verdict {
        case .allow: .allowed
        case .sidecarOnly: .sidecarOnly
        case .deny: .noGrant
        }
    }

    private func isGranted(_ initiator: End, to host: End, _ transport: TransportProtocol, _ port: UInt16) -> Bool {
        [.allowed, .sidecarOnly].contains(grant(initiator, to: host, transport, port))
    }

    private func opening(
        _ sender: End, _ receiver: End, _ transport: TransportProtocol, _ port: UInt16, _ out: Bool,
        _ metadata: Metadata
    ) -> Reason {
        var reason = grant(sender, to: receiver, transport, port)
        if reason == .sidecarOnly, !out || metadata.mark == 0x706f_7374 { reason = .allowed }
        // The kernel's test run gives every packet a socket of root.
        if reason == .allowed, out, device.kind == .node, !device.openers.contains(0) { reason = .nodeOpens }
        return reason
    }

    /// The refusal that knows more.
    private func told(_ opening: Reason, _ answering: Reason) -> Reason {
        if answering == .allowedAnswer || opening == .noService { return answering == .noService ? opening : answering }
        return opening
    }

    // MARK: protocols

    private func tcp(_ packet: Parsed, _ own: End, _ remote: End, _ out: Bool, _ metadata: Metadata) -> Reason {
        let (sender, receiver) = out ? (own, remote) : (remote, own)
        let opening = opening(sender, receiver, .tcp, packet.destinationPort, out, metadata)
        if opening == .allowed { return .allowed }
        var answering = grant(receiver, to: sender, .tcp, packet.sourcePort)
        if answering == .allowed || answering == .sidecarOnly {
            let (hasACK, hasRST) = (packet.flags & Frame.ack != 0, packet.flags & Frame.rst != 0)
            let isAnswer = packet.flags & Frame.syn != 0 ? hasACK : hasACK || hasRST
            answering = isAnswer ? .allowedAnswer : .answerFlags
        }
        return told(opening, answering)
    }

    private mutating func udp(
        _ packet: Parsed, _ own: End, _ remote: End, _ out: Bool, _ metadata: Metadata
    ) -> Reason {
        let (sender, receiver) = out ? (own, remote) : (remote, own)
        let opening = opening(sender, receiver, .udp, packet.destinationPort, out, metadata)
        if opening == .allowed {
            let question = Question(
                slot: remote.entry.slot, farPort: packet.destinationPort, localPort: packet.sourcePort)
            if out { asked.insert(question) }
            return .allowed
        }
        var answering = grant(receiver, to: sender, .udp, packet.sourcePort)
        if answering == .allowed || answering == .sidecarOnly {
            let question = Question(
                slot: remote.entry.slot, farPort: packet.sourcePort, localPort: packet.destinationPort)
            answering = out || asked.contains(question) ? .allowedAnswer : .unasked
        }
        return told(opening, answering)
    }

    private mutating func icmp(
        _ packet: Parsed, _ own: End, _ remote: End, _ out: Bool, _ metadata: Metadata
    ) -> Reason {
        let (sender, receiver) = out ? (own, remote) : (remote, own)
        let question = Question(slot: remote.entry.slot, farPort: 0, localPort: packet.echo)
        switch packet.kind {
        case .echoRequest:
            let reason = opening(sender, receiver, .icmp, 0, out, metadata)
            if reason == .allowed, out { asked.insert(question) }
            return reason
        case .echoReply:
            let reason = grant(receiver, to: sender, .icmp, 0)
            guard reason == .allowed || reason == .sidecarOnly else { return reason }
            return out || asked.contains(question) ? .allowedAnswer : .unasked
        case .error: return error(packet, sender, receiver)
        case .other: return .icmpUnsupported
        }
    }

    private func error(_ packet: Parsed, _ sender: End, _ receiver: End) -> Reason {
        let quote: Parsed
        do throws(Stop) { quote = try Parsed(quotedIn: packet) } catch {
            return error.reason == .truncated ? .truncated : .unrelatedError
        }
        guard quote.source == packet.destination, quote.destination == packet.source else { return .unrelatedError }
        var (opened, answered) = (false, false)
        if let transport = TransportProtocol(rawValue: quote.transport), transport != .icmp {
            opened = isGranted(receiver, to: sender, transport, quote.destinationPort)
            answered = isGranted(sender, to: receiver, transport, quote.sourcePort)
        } else if quote.transport == quote.icmp {
            opened = quote.kind == .echoRequest && isGranted(receiver, to: sender, .icmp, 0)
            answered = quote.kind == .echoReply && isGranted(sender, to: receiver, .icmp, 0)
        }
        return opened || answered ? .allowedError : .unrelatedError
    }
}

extension RoutedPrefix {
    func contains(_ other: IPAddress) -> Bool {
        let (one, two) = (address.bytes, other.bytes)
        guard one.count == two.count else { return false }
        return (0..<length).allSatisfy { (one[$0 / 8] ^ two[$0 / 8]) & 0x80 >> UInt8($0 % 8) == 0 }
    }
}
