import Mesh
import Testing

@testable import Datapath

@Suite struct TableChangesTests {
    @Test func `changes lead to the new set`() {
        var random = Seeded(state: 7)
        for _ in 0..<500 {
            var (set, new) = (random.tableSet(), random.tableSet())
            let changes = set.changes(to: new)
            for write in changes.tighten + changes.loosen { set.apply(write) }
            #expect(set == new)
            #expect(set.changes(to: new).isEmpty)
            new.peers = [:]
        }
    }

    @Test func `no instant allows what neither set allows, and none after tightening what the new one does not`() {
        var random = Seeded(state: 8)
        for _ in 0..<(Depth.isDeep ? 2_000 : 40) {
            let (old, new) = (random.tableSet(), random.tableSet())
            let (before, after) = (allowed(old), allowed(new))
            let changes = old.changes(to: new)
            var set = old
            for write in changes.tighten {
                set.apply(write)
                #expect(allowed(set).isSubset(of: before))
            }
            #expect(allowed(set).isSubset(of: after))
            for write in changes.loosen {
                set.apply(write)
                #expect(allowed(set).isSubset(of: after))
            }
        }
    }

    @Test func `a reused slot is zero before it is somebody else's`() {
        var new = Who.tables
        new.peers[Who.agent] = nil
        new.peers[Who.nobody] = Who.entry(Who.agentSlot, Who.second)
        new.rows[Who.agentSlot] = Who.second
        let changes = Who.tables.changes(to: new)
        #expect(changes.tighten == [.peer(Who.agent, nil), .row(Who.agentSlot, nil)])
        #expect(
            changes.loosen == [
                .row(Who.agentSlot, Who.second), .peer(Who.nobody, Who.entry(Who.agentSlot, Who.second)),
            ])
    }

    @Test func `a shorter lease tightens and a longer one loosens`() {
        let (short, long) = (BootTime(rawValue: 10), BootTime(rawValue: 20))
        func set(_ lease: BootTime) -> TableSet { TableSet(peers: [Who.agent: Who.entry(Who.agentSlot, until: lease)]) }
        let shortened = set(long).changes(to: set(short))
        #expect(shortened.tighten == [.peer(Who.agent, Who.entry(Who.agentSlot, until: short))])
        #expect(shortened.loosen.isEmpty)
        let prolonged = set(short).changes(to: set(long))
        #expect(prolonged.tighten.isEmpty)
        #expect(prolonged.loosen == [.peer(Who.agent, Who.entry(Who.agentSlot, until: long))])
    }

    @Test func `allow to sidecar only tightens`() {
        let cell = Who.cell(Who.agentSlot, 1)
        let (wide, narrow) = (TableSet(verdicts: [cell: .allow]), TableSet(verdicts: [cell: .sidecarOnly]))
        #expect(wide.changes(to: narrow) == TableChanges(tighten: [.verdict(cell, .sidecarOnly)], loosen: []))
        #expect(narrow.changes(to: wide) == TableChanges(tighten: [], loosen: [.verdict(cell, .allow)]))
    }

    @Test func `a grant that gets an end loses nothing before it`() {
        let cell = Who.cell(Who.agentSlot, 1)
        let grant = TimedGrant(until: BootTime(rawValue: 9), verdict: .allow, policy: 4)
        let (always, timed) = (TableSet(verdicts: [cell: .allow]), TableSet(timed: [cell: grant]))
        #expect(
            always.changes(to: timed)
                == TableChanges(tighten: [.timed(cell, grant), .verdict(cell, .deny)], loosen: []))
        #expect(
            timed.changes(to: always)
                == TableChanges(tighten: [], loosen: [.verdict(cell, .allow), .timed(cell, nil)]))
    }

    @Test func `an entry for deny is no entry`() {
        #expect(TableSet(verdicts: [Who.cell(Who.agentSlot, 1): .deny]) == TableSet())
    }

    private struct Allowance: Hashable {
        let initiator: String
        let destination: MeshOffset
        let service: ServiceKey
        let how: Verdict
        let moment: UInt64
    }

    /// Everything that a set allows, at a moment before and one after the shorter leases end.
    private func allowed(_ set: TableSet) -> Set<Allowance> {
        var result: Set<Allowance> = []
        let initiators = set.peers.map { ("\($0.key)", $0.value) } + set.routes.map { ("\($0.key)", $0.value) }
        for moment: UInt64 in [2, .max / 2 + 1] {
            for (initiator, from) in initiators where from.lease.rawValue > moment {
                guard set.rows[from.slot] == from.generation else { continue }
                for (destination, to) in set.peers where to.lease.rawValue > moment {
                    for (key, serviceClass) in set.services where key.slot == to.slot {
                        let cell = VerdictKey(slot: from.slot, serviceClass: serviceClass)
                        let verdict = verdict(cell, in: set, at: moment)
                        // Allow contains what the sidecar may.
                        for how in [Verdict.sidecarOnly, .allow] where how <= verdict {
                            result.insert(
                                Allowance(
                                    initiator: initiator, destination: destination, service: key, how: how,
                                    moment: moment))
                        }
                    }
                }
            }
        }
        return result
    }

    private func verdict(_ cell: VerdictKey, in set: TableSet, at moment: UInt64) -> Verdict {
        if let verdict = set.verdicts[cell] { return verdict }
        guard let grant = set.timed[cell], grant.until.rawValue > moment else { return .deny }
        return grant.verdict
    }
}
