import Mesh

@testable import Datapath

/// SplitMix64: the same numbers for the same seed, everywhere.
struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    mutating func pick<Element>(_ choices: [Element]) -> Element { choices.randomElement(using: &self)! }
    mutating func once(in count: Int) -> Bool { Int.random(in: 0..<count, using: &self) == 0 }
}

/// Tables and packets from a world so small that they often meet.
extension Seeded {
    static let offsets = [Who.node, Who.agent, Who.stranger, Who.nobody]
    static let slots = [Who.nodeSlot, Who.agentSlot, Who.strangerSlot]
    static let ports: [UInt16] = [80, 443, 40_000]
    static let columns: [UInt32] = [1, 31, 32, 1023]
    static let prefixes = [
        RoutedPrefix(.v4(IPv4Address("192.0.2.0")!), length: 24)!,
        RoutedPrefix(.v4(IPv4Address("192.0.2.128")!), length: 25)!,
        RoutedPrefix(.v4(IPv4Address("10.0.0.0")!), length: 8)!,
        RoutedPrefix(.v6(IPv6Address(high: 0x2001_0db8 << 32, low: 0)), length: 32)!,
        RoutedPrefix(.v6(IPv6Address(high: 0xfd12 << 48, low: 0)), length: 16)!,
        RoutedPrefix(.v6(IPv6Address(high: pool.v6Prefix, low: 0)), length: 64)!,
    ]

    mutating func tableSet() -> TableSet {
        var set = TableSet()
        for offset in Self.offsets where !once(in: 5) { set.peers[offset] = peer(at: offset) }
        for prefix in Self.prefixes where once(in: 2) { set.routes[prefix] = peer(at: pick(Self.offsets)) }
        for slot in Self.slots {
            if !once(in: 5) { set.rows[slot] = pick([Who.first, Who.first, Who.second]) }
            for transport in [TransportProtocol.tcp, .udp] {
                for port in Self.ports where !once(in: 3) {
                    set.services[Who.service(slot, port, transport)] = ServiceClass(rawValue: pick(Self.columns))!
                }
            }
            if !once(in: 3) { set.services[.echo(of: slot)] = ServiceClass(rawValue: pick(Self.columns))! }
            for column in Self.columns {
                if !once(in: 3) { set.verdicts[Who.cell(slot, column)] = pick([.allow, .allow, .sidecarOnly]) }
                if once(in: 3) { set.timed[Who.cell(slot, column)] = timedGrant() }
            }
        }
        return set
    }

    private mutating func timedGrant() -> TimedGrant {
        TimedGrant(
            until: pick([Who.past, Who.always, BootTime(rawValue: .max / 2)]), verdict: pick(Verdict.allCases),
            policy: UInt32.random(in: 0...3, using: &self))
    }

    private mutating func peer(at offset: MeshOffset) -> PeerEntry {
        let natural = Self.offsets.firstIndex(of: offset)! % Self.slots.count
        let slot = once(in: 6) ? pick(Self.slots) : Self.slots[natural]
        let generation = pick([Who.first, Who.first, Who.first, Who.second])
        return Who.entry(
            slot, generation, until: once(in: 6) ? Who.past : pick([Who.always, BootTime(rawValue: .max / 2)]))
    }

    /// A packet that somebody of this small world might send, often damaged.
    mutating func frame() -> Frame {
        let family = pick(Frame.Family.allCases)
        var frame = sound(family)
        if family == .v6, once(in: 5) { frame = frame.extended(by: extensions()) }
        if once(in: 8) { frame = frame.with(family == .v4 ? 9 : 6, pick([0, 1, 6, 17, 43, 44, 47, 58, 60])) }
        if once(in: 6) {
            let place = Int.random(in: 12..<frame.bytes.count, using: &self)
            frame.bytes[place] = UInt8.random(in: 0...255, using: &self)
        }
        if once(in: 8) { relocate(&frame) }
        // The kernel's test run itself refuses an IP packet without its whole header.
        let least = Frame.ethernet + (frame.bytes[12] == 0x86 ? 40 : 20)
        if once(in: 10) { frame.bytes.removeLast(Int.random(in: 0...max(0, frame.bytes.count - least), using: &self)) }
        return frame
    }

    private mutating func sound(_ family: Frame.Family) -> Frame {
        let (source, destination) = (pick(Self.offsets), pick(Self.offsets))
        switch Int.random(in: 0..<5, using: &self) {
        case 0, 1:
            return .tcp(
                family, from: source, pick(Self.ports), to: destination, pick(Self.ports),
                flags: UInt8.random(in: 0...63, using: &self))
        case 2: return .udp(family, from: source, pick(Self.ports), to: destination, pick(Self.ports), payload: [1, 2])
        case 3:
            let type = pick([(v4: UInt8(8), v6: UInt8(128)), (v4: 0, v6: 129), (v4: 5, v6: 135)])
            return .icmp(family, from: source, to: destination, type, echo: UInt16.random(in: 0...2, using: &self))
        default: return error(family, from: source, to: destination)
        }
    }

    /// An error that most often quotes what went the other way.
    private mutating func error(
        _ family: Frame.Family, from source: MeshOffset, to destination: MeshOffset
    ) -> Frame {
        var quoted: Frame
        let (from, to) = once(in: 5) ? (pick(Self.offsets), pick(Self.offsets)) : (destination, source)
        switch Int.random(in: 0..<3, using: &self) {
        case 0: quoted = .tcp(family, from: from, pick(Self.ports), to: to, pick(Self.ports), flags: Frame.ack)
        case 1: quoted = .udp(family, from: from, pick(Self.ports), to: to, pick(Self.ports))
        default: quoted = .icmp(family, from: from, to: to, pick([(v4: UInt8(8), v6: UInt8(128)), (v4: 0, v6: 129)]))
        }
        if family == .v6, once(in: 4) { quoted = quoted.extended(by: extensions()) }
        if once(in: 4) {
            let place = Int.random(in: Frame.ethernet..<quoted.bytes.count, using: &self)
            quoted.bytes[place] = UInt8.random(in: 0...255, using: &self)
        }
        var quote = quoted.packet
        if once(in: 3) { quote.removeLast(Int.random(in: 0...quote.count, using: &self)) }
        let type = pick([(v4: UInt8(3), v6: UInt8(1)), (v4: 11, v6: 2), (v4: 12, v6: 3), (v4: 3, v6: 4)])
        return .icmp(family, from: source, to: destination, type, quoting: quote)
    }

    private mutating func extensions() -> [UInt8] {
        let count = once(in: 4) ? Int.random(in: 1...10, using: &self) : Int.random(in: 1...3, using: &self)
        return (0..<count).map { place in
            if once(in: 12) { return pick([0, 43, 44, 51, 135, 139, 140]) }
            return place == 0 && once(in: 2) ? 0 : 60
        }
    }

    /// Lets one end be somewhere outside the pool, or on its rim.
    private mutating func relocate(_ frame: inout Frame) {
        let isV4 = frame.bytes[12] == 0x08
        let v4: [[UInt8]] = [[192, 0, 2, 7], [192, 0, 2, 200], [10, 1, 2, 3], [10, 64, 0, 0], [127, 0, 0, 1]]
        let v6 = [
            IPv6Address(high: 0x2001_0db8 << 32, low: 7), IPv6Address(high: 0xfd12 << 48, low: 9),
            IPv6Address(high: pool.v6Prefix, low: 1 << 40), IPv6Address(high: pool.v6Prefix, low: 0),
        ].map(\.bytes)
        let address = pick(isV4 ? v4 : v6)
        let place = Frame.ethernet + (isV4 ? pick([12, 16]) : pick([8, 24]))
        frame.bytes.replaceSubrange(place..<place + address.count, with: address)
    }

    /// Anything at all, behind an IP header that the kernel's test run takes.
    mutating func noise() -> Frame {
        let length = Int.random(in: 40...400, using: &self)
        var bytes = (0..<Frame.ethernet + length).map { _ in UInt8.random(in: 0...255, using: &self) }
        let type: [UInt8] = pick([[0x08, 0x00], [0x86, 0xdd]])
        bytes.replaceSubrange(12..<14, with: type)
        return Frame(bytes: bytes)
    }

    mutating func metadata() -> Metadata {
        Metadata(mark: pick([0, 0x706f_7374, 7]), arrivedAt: once(in: 8) ? 1 : 0)
    }
}
