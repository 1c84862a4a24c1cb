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

    mutating func tableSet() -> TableSet {
        var set = TableSet()
        for offset in Self.offsets where !once(in: 5) { set.peers[offset] = peer(at: offset) }
        for slot in Self.slots {
            if !once(in: 5) { set.rows[slot] = pick([Who.first, Who.first, Who.second]) }
            for port in Self.ports where !once(in: 3) {
                set.services[Who.service(slot, port)] = ServiceClass(rawValue: pick(Self.columns))!
            }
            for column in Self.columns where !once(in: 3) {
                set.verdicts[Who.cell(slot, column)] = pick([.allow, .allow, .sidecarOnly])
            }
        }
        return set
    }

    private mutating func peer(at offset: MeshOffset) -> PeerEntry {
        let natural = Self.offsets.firstIndex(of: offset)! % Self.slots.count
        let slot = once(in: 6) ? pick(Self.slots) : Self.slots[natural]
        let generation = pick([Who.first, Who.first, Who.first, Who.second])
        return Who.entry(
            slot, generation, until: once(in: 6) ? Who.past : pick([Who.always, BootTime(rawValue: .max / 2)]))
    }

    mutating func frame() -> Frame {
        let family = pick(Frame.Family.allCases)
        var frame = Frame.tcp(
            family, from: pick(Self.offsets), pick(Self.ports), to: pick(Self.offsets), pick(Self.ports),
            flags: UInt8.random(in: 0...63, using: &self))
        if once(in: 6) { frame = frame.with(family == .v4 ? 9 : 6, pick([0, 1, 6, 17, 44, 47, 58, 60])) }
        if once(in: 6) {
            let place = Int.random(in: 12..<frame.bytes.count, using: &self)
            frame.bytes[place] = UInt8.random(in: 0...255, using: &self)
        }
        // The kernel's test run itself refuses an IP packet without its whole header.
        let least = Frame.ethernet + (frame.bytes[12] == 0x86 ? 40 : 20)
        if once(in: 10) { frame.bytes.removeLast(Int.random(in: 0...max(0, frame.bytes.count - least), using: &self)) }
        return frame
    }

    mutating func metadata() -> Metadata {
        Metadata(mark: pick([0, 0x706f_7374, 7]), arrivedAt: once(in: 8) ? 1 : 0)
    }
}
