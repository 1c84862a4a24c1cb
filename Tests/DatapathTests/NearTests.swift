import CPosternABI
import Mesh
import Testing

@testable import Datapath

/// The grants that stand beside an address, so that a packet need not ask the row.
@Suite struct NearTests {
    private let data = Frame.tcp(.v4, from: Who.agent, 40_000, to: Who.node, Who.web, flags: Frame.ack)

    @Test(arguments: [21, 22, 23] as [UInt64])
    func `beside an address stands what its row allows, and only there`(seed: UInt64) throws {
        var random = Seeded(state: seed)
        let mount = try PinMount()
        let tables = try Tables(pins: mount.path + "/tables")
        var (set, seen) = (TableSet(), 0)
        for _ in 0..<10 {
            let next = random.tableSet()
            let changes = set.changes(to: next)
            try tables.tighten(changes)
            try tables.loosen(changes)
            set = next
            for copy in Copy.allCases {
                var holders: [Slot: Int] = [:]
                for (offset, entry) in set.peers {
                    let near = try raw(offset, copy, tables).near
                    guard near != (0, 0) else { continue }
                    seen += 1
                    holders[entry.slot, default: 0] += 1
                    #expect(near == expected(entry, in: set), "\(offset) \(copy)")
                }
                #expect(holders.values.allSatisfy { $0 == 1 })
            }
        }
        #expect(seen > 8)
    }

    @Test func `more beside an address than its row says makes it nobody's, until it is written anew`() throws {
        let world = try World()
        let copy = try world.tables.currentState().live
        var entry = try raw(Who.agent, copy, world.tables)
        entry.near.0 |= 1 << 40
        try world.tables.peers.put(index(Who.agent, copy), entry)
        var found = try world.tables.read()
        #expect(found.peers[Who.agent] == nil && found.peers.count == 2)
        let changes = found.changes(to: Who.tables)
        try world.tables.tighten(changes)
        try world.tables.loosen(changes)
        found = try world.tables.read()
        #expect(found == Who.tables)
        let call = Frame.tcp(.v4, from: Who.agent, 40_000, to: Who.node, Who.admin, flags: Frame.syn)
        #expect(try world.judge(call, at: Who.nodeDevice, .ingress) == .noGrant)
    }

    @Test func `a slot with two addresses is judged alike at both`() throws {
        var set = Who.tables
        set.peers[Who.nobody] = Who.entry(Who.agentSlot)
        let world = try World(set)
        let other = Frame.tcp(.v6, from: Who.nobody, 40_000, to: Who.node, Who.web, flags: Frame.ack)
        for frame in [data, other] { #expect(try world.judge(frame, at: Who.nodeDevice, .ingress) == .allowed) }
        var narrower = set
        narrower.verdicts[Who.cell(Who.agentSlot, 1)] = nil
        try world.tables.tighten(set.changes(to: narrower))
        for frame in [data, other] { #expect(try world.judge(frame, at: Who.nodeDevice, .ingress) == .noGrant) }
        try world.tables.loosen(narrower.changes(to: set))
        var alone = set
        alone.peers[Who.agent] = nil
        try world.tables.tighten(set.changes(to: alone))
        #expect(try world.judge(data, at: Who.nodeDevice, .ingress) == .unknownPeer)
        #expect(try world.judge(other, at: Who.nodeDevice, .ingress) == .allowed)
    }

    @Test(arguments: [1, 31, 32, 63, 64, 127, 128, 1023] as [UInt32])
    func `a grant of any class opens and closes`(column: UInt32) throws {
        var set = Who.tables
        set.services[Who.service(Who.nodeSlot, Who.web)] = ServiceClass(rawValue: column)!
        set.verdicts[Who.cell(Who.agentSlot, 1)] = nil
        set.verdicts[Who.cell(Who.agentSlot, 2)] = nil
        set.verdicts[Who.cell(Who.agentSlot, column)] = .allow
        let world = try World(set)
        let copy = try world.tables.currentState().live
        let near = try raw(Who.agent, copy, world.tables).near
        let isNear = (near.0 >> UInt64(column)) & 1 == 1 || (column >= 64 && (near.1 >> UInt64(column - 64)) & 1 == 1)
        #expect(isNear == (column < UInt32(PT_NEAR_CLASSES)))
        #expect(try world.judge(data, at: Who.nodeDevice, .ingress) == .allowed)
        for verdict in [Verdict.sidecarOnly, .deny] {
            var narrower = set
            narrower.verdicts[Who.cell(Who.agentSlot, column)] = verdict == .deny ? nil : verdict
            let call = Frame.tcp(.v4, from: Who.agent, 40_000, to: Who.node, Who.web, flags: Frame.syn)
            let changes = set.changes(to: narrower)
            try world.tables.tighten(changes)
            let expected: Reason = verdict == .deny ? .noGrant : .sidecarOnly
            #expect(try world.judge(call, at: Who.agentDevice, .egress) == expected)
            set = narrower
        }
    }

    private func index(_ offset: MeshOffset, _ copy: Copy) -> UInt32 {
        copy.rawValue * UInt32(PT_POOL_SIZE) + offset.rawValue
    }

    private func raw(_ offset: MeshOffset, _ copy: Copy, _ tables: borrowing Tables) throws -> pt_peer_entry {
        try tables.peers.value(at: index(offset, copy), into: pt_peer_entry())
    }

    /// As slowly as can be.
    private func expected(_ entry: PeerEntry, in set: TableSet) -> (UInt64, UInt64) {
        guard set.rows[entry.slot] == entry.generation else { return (0, 0) }
        var words: (UInt64, UInt64) = (0, 0)
        for number in 1..<UInt32(PT_NEAR_CLASSES) where set.verdicts[Who.cell(entry.slot, number)] == .allow {
            if number < 64 { words.0 |= 1 << UInt64(number) } else { words.1 |= 1 << UInt64(number - 64) }
        }
        return words
    }
}
