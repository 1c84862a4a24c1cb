internal import CPosternABI
internal import Mesh

/// The plain grants of a row that stand beside its peer's address too: a bit for each of the first classes.
///
/// A packet finds its peer by the address, and most packets what they may do in the same line of memory. Written
/// after the rows, from them; what goes is zero before. They stand at one address of a slot at most, which `holders`
/// knows: should a slot have several, packets of the others ask the row.
struct NearGrants: Equatable {
    let words: (UInt64, UInt64)

    static let none = NearGrants(words: (0, 0))

    static func == (left: NearGrants, right: NearGrants) -> Bool { left.words == right.words }

    func isCovered(by other: NearGrants) -> Bool {
        words.0 & ~other.words.0 == 0 && words.1 & ~other.words.1 == 0
    }
}

extension pt_row {
    /// What the row, if it is of this generation, allows without condition.
    func near(_ generation: UInt32) -> NearGrants {
        guard generation != 0, generation == self.generation else { return .none }
        return NearGrants(
            words: (
                Self.allowed(verdicts.0) | Self.allowed(verdicts.1) << 32,
                Self.allowed(verdicts.2) | Self.allowed(verdicts.3) << 32
            ))
    }

    /// One bit for each pair of bits: whether it is PT_ALLOW, which is 01.
    private static func allowed(_ verdicts: UInt64) -> UInt64 {
        var bits = verdicts & ~(verdicts >> 1) & 0x5555_5555_5555_5555
        bits = (bits | bits >> 1) & 0x3333_3333_3333_3333
        bits = (bits | bits >> 2) & 0x0f0f_0f0f_0f0f_0f0f
        bits = (bits | bits >> 4) & 0x00ff_00ff_00ff_00ff
        bits = (bits | bits >> 8) & 0x0000_ffff_0000_ffff
        return (bits | bits >> 16) & 0xffff_ffff
    }
}

extension Tables {
    /// Writes who has an address; what stands beside it comes by `settle`.
    func put(_ entry: PeerEntry?, at offset: MeshOffset, in copy: Copy) throws(DatapathError) {
        let index = Self.index(offset.rawValue, copy)
        let old = try peers.value(at: index, into: pt_peer_entry())
        try peers.put(index, pt_peer_entry(entry))
        if let slot = Slot(rawValue: old.slot), slot != entry?.slot, try holder(of: slot, copy) == offset {
            try hold(slot, at: nil, copy)
        }
        guard let slot = entry?.slot else { return }
        let former = try holder(of: slot, copy)
        guard former != offset else { return }
        if let former {
            let index = Self.index(former.rawValue, copy)
            var left = try peers.value(at: index, into: pt_peer_entry())
            left.near = (0, 0)
            try peers.put(index, left)
        }
        try hold(slot, at: offset, copy)
    }

    /// Puts beside a peer's address what its row says.
    func settle(_ slot: Slot, in copy: Copy, by pages: RowPages) throws(DatapathError) {
        guard let offset = try holder(of: slot, copy) else { return }
        let index = Self.index(offset.rawValue, copy)
        var entry = try peers.value(at: index, into: pt_peer_entry())
        let wanted = entry.slot == slot.rawValue ? try pages.near(slot, entry.generation) : .none
        guard entry.near != wanted.words else { return }
        entry.near = wanted.words
        try peers.put(index, entry)
    }

    /// Whether no more stands beside an address than its row says, and whether it will be found when the row changes.
    func isCovered(
        _ entry: pt_peer_entry, of slot: Slot, at offset: MeshOffset, in copy: Copy, by pages: RowPages
    ) throws(DatapathError) -> Bool {
        let near = NearGrants(words: entry.near)
        guard near != .none else { return true }
        guard try holder(of: slot, copy) == offset else { return false }
        return near.isCovered(by: try pages.near(slot, entry.generation))
    }

    private func holder(of slot: Slot, _ copy: Copy) throws(DatapathError) -> MeshOffset? {
        let index = copy.rawValue * UInt32(PT_SLOTS) + slot.rawValue
        let found = try holders.value(at: index, into: pt_holder()).offset
        return found == 0 ? nil : MeshOffset(rawValue: found - 1)
    }

    private func hold(_ slot: Slot, at offset: MeshOffset?, _ copy: Copy) throws(DatapathError) {
        let index = copy.rawValue * UInt32(PT_SLOTS) + slot.rawValue
        try holders.put(index, pt_holder(offset: offset.map { $0.rawValue + 1 } ?? 0, pad: 0))
    }

    private static func index(_ offset: UInt32, _ copy: Copy) -> UInt32 {
        copy.rawValue * UInt32(PT_POOL_SIZE) + offset
    }
}
