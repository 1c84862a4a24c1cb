import CoordinationAPI
import Foundation
import Glibc
import Mesh
import Synchronization
import Testing

@testable import PosternNode

/// What the disk holds, whatever happens to the daemon, the disk or the machine while it is written.
@Suite struct MapJournalTests {
    private let scratch: Scratch
    private let mesh: SignedMesh
    private var state: StateDirectory { get throws { try StateDirectory(path: scratch.path + "/state") } }
    private var file: String { scratch.path + "/state/map.journal" }

    init() throws { (scratch, mesh) = (try Scratch(), try SignedMesh()) }

    @Test func `what was kept comes back in order`() throws {
        var journal = MapJournal(try state)
        #expect(try journal.load().isEmpty)
        #expect(!journal.isThere)
        try journal.replace(with: try saved())
        try journal.append(.event(change(1)))
        try journal.append(.said(mesh.definitions[0], at: SignedMesh.now))
        var again = MapJournal(try state)
        let records = try again.load()
        #expect(records == [.map(try saved()), .event(change(1)), .said(mesh.definitions[0], at: SignedMesh.now)])
        #expect(again.isThere)
        try again.append(.event(change(2)))
        var third = MapJournal(try state)
        #expect(try third.load().count == 4)
    }

    @Test func `a whole map takes the place of all`() throws {
        var journal = MapJournal(try state)
        try journal.replace(with: try saved())
        try journal.append(.event(change(1)))
        try journal.replace(with: try saved(version: 9))
        var again = MapJournal(try state)
        #expect(try again.load() == [.map(try saved(version: 9))])
    }

    @Test func `without a map there is nothing to add to`() throws {
        var journal = MapJournal(try state)
        #expect(throws: NodeError.self) { try journal.append(.event(change(1))) }
    }

    @Test func `a small change does not write the map again`() throws {
        var journal = MapJournal(try state)
        try journal.replace(with: try saved())
        let before = try #require(try FileManager.default.attributesOfItem(atPath: file)[.systemFileNumber] as? Int)
        for number in 1...50 { try journal.append(.event(change(UInt64(number)))) }
        #expect(try FileManager.default.attributesOfItem(atPath: file)[.systemFileNumber] as? Int == before)
        #expect(!journal.isLong)
    }

    @Test func `a journal that has grown long asks to be written anew`() throws {
        var journal = MapJournal(try state)
        try journal.replace(with: try saved())
        let long = MapChanges(
            from: 7,
            definitions: [Envelope(document: String(repeating: "x", count: 400_000), signatures: [])])
        for _ in 1...3 { try journal.append(.event(mesh.event(long))) }
        #expect(journal.isLong)
        try journal.replace(with: try saved())
        #expect(!journal.isLong)
    }

    @Test func `a record that was cut off anywhere is none, and what is before it stays`() throws {
        var journal = MapJournal(try state)
        try journal.replace(with: try saved())
        try journal.append(.event(change(1)))
        let bytes = try Data(contentsOf: URL(fileURLWithPath: file))
        let whole = bytes.count - (try recordLength(.event(change(1))))
        for length in stride(from: whole, to: bytes.count, by: 7) {
            try bytes.prefix(length).write(to: URL(fileURLWithPath: file))
            var again = MapJournal(try state)
            #expect(try again.load() == [.map(try saved())])
            // Behind half a record nothing may be written.
            #expect(again.isThere == (length == whole))
        }
    }

    @Test func `a record in the middle that was changed refuses all`() throws {
        var journal = MapJournal(try state)
        try journal.replace(with: try saved())
        try journal.append(.event(change(1)))
        var bytes = try Data(contentsOf: URL(fileURLWithPath: file))
        bytes[1] ^= 1
        try bytes.write(to: URL(fileURLWithPath: file))
        var again = MapJournal(try state)
        #expect(throws: NodeError.self) { try again.load() }
    }

    @Test(arguments: seeds)
    func `no bytes on the disk end the daemon`(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var journal = MapJournal(try state)
        try journal.replace(with: try saved())
        try journal.append(.event(change(1)))
        let bytes = try Data(contentsOf: URL(fileURLWithPath: file))
        for _ in 1...20 {
            var hurt = bytes
            for _ in 0...Int.random(in: 0...4, using: &generator) {
                let place = Int.random(in: 0..<hurt.count, using: &generator)
                hurt[place] = UInt8.random(in: 0...255, using: &generator)
            }
            try hurt.prefix(Int.random(in: 0...hurt.count, using: &generator)).write(to: URL(fileURLWithPath: file))
            var again = MapJournal(try state)
            _ = try? again.load()
        }
    }

    // MARK: - The daemon is ended

    @Test func `ended at any step of a change, the disk holds the map before it or after it`() throws {
        for step in 1...12 {
            try start()
            let killer = Killer(at: step)
            var journal = MapJournal(try state, disk: killer.calls)
            _ = try journal.load()
            let isKept = journal.keep(.event(change(1)), takesAway: true) == .kept
            try expect(before: [.map(try saved())], after: [.map(try saved()), .event(change(1))], acted: isKept)
            if !killer.isDead { return }
        }
        Issue.record("it takes more steps than that")
    }

    @Test func `ended at any step of a whole map, the disk holds the old one or the new one`() throws {
        for step in 1...12 {
            try start()
            let killer = Killer(at: step)
            var journal = MapJournal(try state, disk: killer.calls)
            _ = try journal.load()
            let isKept = journal.keep(.map(try saved(version: 9)), takesAway: true) == .kept
            try expect(before: [.map(try saved())], after: [.map(try saved(version: 9))], acted: isKept)
            if !killer.isDead { return }
        }
        Issue.record("it takes more steps than that")
    }

    // MARK: - The disk is full

    @Test func `what the full disk does not take leaves nothing on it`() throws {
        try start()
        var calls = DiskCalls.real
        calls.write = { descriptor, bytes in
            _ = writeAll(descriptor, Array(bytes.prefix(bytes.count / 2)))
            return -ENOSPC
        }
        var journal = MapJournal(try state, disk: calls)
        _ = try journal.load()
        // A longer lease that is not kept does no harm, but the next change finds nothing that it could be added to.
        guard case .missing = journal.keep(.event(change(1)), takesAway: false) else {
            Issue.record("a full disk keeps nothing")
            return
        }
        var before = MapJournal(try state)
        #expect(try before.load() == [.map(try saved())])
        guard case .missing = journal.keep(.event(change(2)), takesAway: true) else {
            Issue.record("a full disk keeps nothing")
            return
        }
        var again = MapJournal(try state)
        #expect(try again.load().isEmpty)
    }

    @Test func `a file that cannot be removed is emptied`() throws {
        try start()
        var calls = DiskCalls.real
        calls.remove = { _ in -EPERM }
        var journal = MapJournal(try state, disk: calls)
        try journal.discard()
        var again = MapJournal(try state)
        #expect(try again.load().isEmpty)
    }

    @Test func `a disk that takes nothing at all is an error that says so`() throws {
        try start()
        var calls = DiskCalls.real
        calls.remove = { _ in -EROFS }
        calls.empty = { _ in -EROFS }
        var journal = MapJournal(try state, disk: calls)
        calls.extend = { _ in -EROFS }
        var silent = MapJournal(try state, disk: calls)
        _ = try silent.load()
        let error = #expect(throws: NodeError.self) { try journal.discard() }
        #expect(error?.description.contains("Read-only file system") == true)
        guard case .stale = silent.keep(.event(change(1)), takesAway: true) else {
            Issue.record("the disk holds too much")
            return
        }
    }

    // MARK: - Helpers

    private func start() throws {
        var journal = MapJournal(try state)
        try journal.replace(with: try saved())
    }

    @Test func `where there is no map on the disk nothing is missing on it`() throws {
        var journal = MapJournal(try state)
        #expect(try journal.load().isEmpty)
        guard case .missing = journal.keep(.event(change(1)), takesAway: true) else {
            Issue.record("there is nothing to add to")
            return
        }
        #expect(journal.keep(.map(try saved()), takesAway: true) == .kept)
        #expect(journal.keep(.event(change(1)), takesAway: true) == .kept)
    }

    private func expect(before: [SavedRecord], after: [SavedRecord], acted: Bool) throws {
        var journal = MapJournal(try state)
        let found = try journal.load()
        // What was acted on is there, or nothing is.
        #expect(acted ? found == after : found == before || found == after || found.isEmpty)
    }

    private func saved(version: UInt64 = 7) throws -> SavedMap {
        SavedMap(
            event: MapEvent(
                version: version, issuedAt: SignedMesh.now, validUntil: SignedMesh.now, checkpoint: nil,
                content: .whole(mesh.message())),
            gone: [], ended: [])
    }

    private func change(_ number: UInt64) -> MapEvent {
        mesh.event(MapChanges(from: 7, removed: [.agent(AgentName(unchecked: "one"))]), version: 7 + number)
    }

    private func recordLength(_ record: SavedRecord) throws -> Int { 1 + (try JSON.encode(record)).count }
}

/// Ends the world at one of the calls: half of a write is done, and nothing after it.
private final class Killer: Sendable {
    private let step: Int
    private let count = Mutex(0)
    var isDead: Bool { count.withLock { $0 >= step } }

    init(at step: Int) { self.step = step }

    /// Whether a call is made in full, in part, or not at all.
    private func next() -> Ordering {
        count.withLock {
            $0 += 1
            return $0 < step ? .before : $0 == step ? .at : .after
        }
    }

    private enum Ordering { case before, at, after }

    var calls: DiskCalls {
        let real = DiskCalls.real
        var calls = real
        calls.create = { [self] in next() == .before ? real.create($0) : -EIO }
        calls.extend = { [self] in next() == .before ? real.extend($0) : -EIO }
        calls.write = { [self] descriptor, bytes in
            switch next() {
            case .before: return real.write(descriptor, bytes)
            case .at:
                _ = real.write(descriptor, Array(bytes.prefix(bytes.count / 2)))
                return -EIO
            case .after: return -EIO
            }
        }
        calls.sync = { [self] in next() == .before ? real.sync($0) : -EIO }
        calls.rename = { [self] in next() == .before ? real.rename($0, $1) : -EIO }
        calls.remove = { [self] in next() == .before ? real.remove($0) : -EIO }
        calls.empty = { [self] in next() == .before ? real.empty($0) : -EIO }
        calls.syncDirectory = { [self] in next() == .before ? real.syncDirectory($0) : -EIO }
        return calls
    }
}
