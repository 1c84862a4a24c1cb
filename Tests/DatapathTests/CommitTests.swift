import Mesh
import Testing

@testable import Datapath

/// A change that is cut off, as by a kill, wherever it is.
@Suite struct CommitTests {
    @Test(arguments: [11, 12, 13] as [UInt64])
    func `whatever step a change is cut off at, what holds is the old set or the new one`(seed: UInt64) throws {
        var random = Seeded(state: seed)
        var held = random.tableSet()
        let mount = try PinMount()
        try Tables(pins: mount.path + "/tables").loosen(TableSet().changes(to: held))
        for _ in 0..<(Depth.isDeep ? 200 : 12) {
            let new = random.tableSet()
            let writes = held.changes(to: new).tighten
            var tightened = held
            for write in writes { tightened.apply(write) }
            let last = random.pick(steps(of: writes))
            try cutOff(writes, before: last, mount)
            let adopted = try Tables(pins: mount.path + "/tables")
            let isDone = steps(of: writes).firstIndex(of: last)! > steps(of: writes).firstIndex(of: .swap)!
            #expect(try adopted.read() == (isDone ? tightened : held), "\(last)")
            #expect(try adopted.read(.first) == adopted.read(.second), "\(last)")
            #expect(try !adopted.currentState().isBehind)
            held = isDone ? tightened : held
            // And the next change finds nothing amiss.
            let changes = held.changes(to: new)
            try adopted.tighten(changes)
            try adopted.loosen(changes)
            #expect(try adopted.read() == new)
            held = new
        }
    }

    @Test func `after an error in the middle the same tables go on`() throws {
        let mount = try PinMount()
        let tables = try Tables(pins: mount.path + "/tables")
        try tables.loosen(TableSet().changes(to: Who.tables))
        let changes = Who.tables.changes(to: TableSet())
        for step in steps(of: changes.tighten) {
            #expect(throws: DatapathError.self) { try tables.commit(changes.tighten, before: stop(at: step)) }
            let left = try tables.read()
            try tables.tighten(left.changes(to: TableSet()))
            #expect(try tables.read() == TableSet())
            try tables.loosen(TableSet().changes(to: Who.tables))
            #expect(try tables.read() == Who.tables)
        }
    }

    @Test func `a change of one entry writes a handful of entries in tables that are full`() throws {
        let mount = try PinMount()
        let tables = try Tables(pins: mount.path + "/tables")
        try tables.loosen(TableSet().changes(to: Who.tables))
        var changed = Who.tables
        changed.peers[Who.agent] = Who.entry(Who.agentSlot, until: BootTime(rawValue: .max - 1))
        var taken: [CommitStep] = []
        let changes = Who.tables.changes(to: changed)
        try tables.commit(changes.tighten) { step throws(DatapathError) in taken.append(step) }
        #expect(taken == [.begin, .prepare(0), .swap, .wait, .follow(0), .end])
    }

    @Test func `a packet is judged by the copy that holds, whatever the other one says`() throws {
        let world = try World()
        var narrower = Who.tables
        narrower.verdicts[Who.cell(Who.agentSlot, 1)] = nil
        let data = Frame.tcp(.v4, from: Who.agent, 40_000, to: Who.node, Who.web, flags: Frame.ack)
        let writes = Who.tables.changes(to: narrower).tighten
        #expect(throws: DatapathError.self) { try world.tables.commit(writes, before: stop(at: .swap)) }
        #expect(try world.judge(data, at: Who.nodeDevice, .ingress) == .allowed)
        #expect(throws: DatapathError.self) { try world.tables.commit(writes, before: stop(at: .wait)) }
        #expect(try world.judge(data, at: Who.nodeDevice, .ingress) == .noGrant)
    }

    @Test func `the copies take turns`() throws {
        let mount = try PinMount()
        let tables = try Tables(pins: mount.path + "/tables")
        var (sets, seen): ([TableSet], [Copy]) = ([TableSet(), Who.tables, TableSet(), Who.tables], [])
        while sets.count > 1 {
            let old = sets.removeFirst()
            let changes = old.changes(to: sets[0])
            try tables.tighten(changes)
            try tables.loosen(changes)
            seen.append(try tables.currentState().live)
        }
        #expect(seen == [.second, .first, .second])
    }

    private func steps(of writes: [TableWrite]) -> [CommitStep] {
        let indices = Array(writes.indices)
        return [.begin] + indices.map { .prepare($0) } + [.swap, .wait] + indices.map { .follow($0) } + [.end]
    }

    private func stop(at last: CommitStep) -> (CommitStep) throws(DatapathError) -> Void {
        { step throws(DatapathError) in
            if step == last { throw DatapathError("go on", because: "the test ends here") }
        }
    }

    private func cutOff(_ writes: [TableWrite], before last: CommitStep, _ mount: PinMount) throws {
        let tables = try Tables(pins: mount.path + "/tables")
        guard !writes.isEmpty else { return }
        #expect(throws: DatapathError.self) { try tables.commit(writes, before: stop(at: last)) }
    }
}
