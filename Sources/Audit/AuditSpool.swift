package import Mesh
import Synchronization

/// A node's records on its own disk, from the moment they are made until the coordinator has them.
///
///     append ──> pending (memory) ──flush: one write, one fsync──> segments ──batch──> coordinator ──acknowledge──> gone
///
/// Nothing is delivered before it is on the disk, so a number that was delivered is never given again. Both the memory
/// and the disk are bounded. What does not fit is lost and counted: the newest where the disk cannot follow, the oldest
/// where nobody takes them; a record of the kind `dropped` says how many, and stands in the chain itself.
package final class AuditSpool: Sendable {
    package struct Limits: Sendable {
        package var segment = 4 << 20
        package var disk = 64 << 20
        package var memory = 4 << 20

        package init() {}
        package init(segment: Int, disk: Int, memory: Int) {
            (self.segment, self.disk, self.memory) = (segment, disk, memory)
        }
    }

    /// Some records in their order, as they travel: a text a line.
    package struct Batch: Equatable, Sendable {
        package let body: [UInt8]
        package let count: Int
        package let last: AuditReceipt
        fileprivate let next: Reader
    }

    package struct Figures: Equatable, Sendable {
        /// Made since the daemon started.
        package var recorded: UInt64
        package var dropped: UInt64
        package var undelivered: UInt64
        package var diskBytes: Int
    }

    private let directory: String
    private let node: NodeName
    private let limits: Limits
    private let now: @Sendable () -> Timestamp
    private let pending: Mutex<Pending>
    private let stored: Mutex<Stored>

    /// What is in memory: the end of the chain, and what is to be written.
    private struct Pending {
        var spool: UInt64
        var sequence: UInt64
        var hash: AuditHash
        var lines: [UInt8] = []
        /// Of the record before the first of `lines`.
        var before: AuditHash
        /// How many came while there was no room, and are not told yet.
        var untold: UInt64 = 0
        var recorded: UInt64 = 0
        var dropped: UInt64 = 0
    }

    /// What is on the disk.
    private struct Stored {
        var segments: [Held] = []
        var sequence: UInt64
        var acknowledged: UInt64
        var reader: Reader?
    }

    private struct Held {
        let segment: SpoolSegment
        var length: Int
        /// Nothing is written behind what cannot be read.
        var isDamaged = false
    }

    /// Where the next batch begins.
    fileprivate struct Reader: Equatable, Sendable {
        let first: UInt64
        var offset: Int
        var sequence: UInt64
    }

    /// Opens a spool, or makes one. A torn end is cut, and a record says so.
    package init(
        directory: String, node: NodeName, limits: Limits = Limits(), now: @escaping @Sendable () -> Timestamp
    ) throws(AuditError) {
        (self.directory, self.node, self.limits, self.now) = (directory, node, limits, now)
        try Disk.makeDirectory(directory)
        let found = try Self.open(directory)
        let spool = found.spool ?? UInt64(max(1, now().rawValue))
        pending = Mutex(Pending(spool: spool, sequence: found.sequence, hash: found.hash, before: found.hash))
        let known = Self.acknowledged(in: directory)
        let acknowledged = known.flatMap { $0.spool == spool ? $0.sequence : nil } ?? 0
        stored = Mutex(
            Stored(
                segments: found.segments, sequence: found.sequence,
                acknowledged: min(acknowledged, found.sequence)))
        if found.torn > 0 {
            var event = AuditEvent(.dropped, at: now())
            event.reason = "the end of the spool, \(found.torn) bytes, was torn when this node stopped, and was cut"
            append(event)
        }
        for path in found.strays { try move(path, after: 0) }
    }

    // MARK: Recording

    /// Gives an event its place in the chain. Does not touch the disk.
    package func append(_ event: AuditEvent) {
        let now = now
        pending.withLock { pending in
            guard pending.lines.count < limits.memory else {
                pending.untold += 1
                pending.dropped += 1
                return
            }
            if pending.untold > 0 {
                var lost = AuditEvent(.dropped, at: now())
                (lost.count, lost.reason) = (pending.untold, "the disk did not take records as fast as they came")
                pending.untold = 0
                Self.add(lost, node: node, to: &pending)
            }
            Self.add(event, node: node, to: &pending)
        }
    }

    private static func add(_ event: AuditEvent, node: NodeName, to pending: inout Pending) {
        pending.sequence += 1
        pending.recorded += 1
        let record = AuditRecord(
            node: node, spool: pending.spool, sequence: pending.sequence, previous: pending.hash, event: event)
        let text = record.text
        pending.hash = AuditHash(of: text)
        pending.lines += SpoolSegment.line(text, hash: pending.hash)
    }

    /// Brings what was recorded onto the disk. What fails is tried again at the next call.
    package func flush() throws(AuditError) {
        try write()
        // What had to go to make room is told behind it.
        if try dropOldest() { try write() }
    }

    private func write() throws(AuditError) {
        try stored.withLock { stored throws(AuditError) in
            let taken = pending.withLock { pending in
                defer { pending.lines = [] }
                return pending
            }
            guard !taken.lines.isEmpty else { return }
            do throws(AuditError) { try store(taken, in: &stored) } catch {
                // Before what has come meanwhile, which is behind it in the chain.
                pending.withLock { $0.lines = taken.lines + $0.lines }
                throw error
            }
            pending.withLock { $0.before = taken.hash }
        }
    }

    private func store(_ taken: Pending, in stored: inout Stored) throws(AuditError) {
        if let last = stored.segments.last, !last.isDamaged, last.length < limits.segment {
            try Disk.append(taken.lines, to: path(last.segment), behind: last.length)
            stored.segments[stored.segments.count - 1].length += taken.lines.count
        } else {
            let segment = SpoolSegment(spool: taken.spool, first: stored.sequence + 1, previous: taken.before)
            let bytes = segment.head + taken.lines
            try Disk.append(bytes, to: path(segment), behind: 0)
            stored.segments.append(Held(segment: segment, length: bytes.count))
        }
        stored.sequence = taken.sequence
    }

    /// Whether there was something to drop.
    private func dropOldest() throws(AuditError) -> Bool {
        let (lost, gone) = stored.withLock { stored in
            var (lost, gone) = (ClosedRange<UInt64>?.none, [SpoolSegment]())
            while stored.segments.count > 1, stored.segments.reduce(0, { $0 + $1.length }) > limits.disk {
                let end = stored.segments[1].segment.first - 1
                gone.append(stored.segments.removeFirst().segment)
                guard end > stored.acknowledged else { continue }
                lost = (lost?.lowerBound ?? stored.acknowledged + 1)...end
                stored.acknowledged = end
                stored.reader = nil
            }
            return (lost, gone)
        }
        for segment in gone { try Disk.remove(path(segment)) }
        guard let lost else { return false }
        pending.withLock { $0.dropped += UInt64(lost.count) }
        var event = AuditEvent(.dropped, at: now())
        event.count = UInt64(lost.count)
        event.reason =
            "the spool was full: records \(lost.lowerBound) to \(lost.upperBound) were not delivered in time"
        append(event)
        return true
    }

    // MARK: Delivering

    /// What is to be delivered next, the oldest first; nil where there is nothing.
    package func batch(atMost count: Int = 1000, bytes: Int = 512 << 10) throws(AuditError) -> Batch? {
        do throws(AuditError) { return try nextBatch(count: count, bytes: bytes) } catch {
            guard error.kind == .invalid else { throw error }
            giveUpDamaged(because: error.reason)
            return nil
        }
    }

    private func nextBatch(count: Int, bytes: Int) throws(AuditError) -> Batch? {
        try stored.withLock { stored throws(AuditError) in
            guard stored.acknowledged < stored.sequence else { return nil }
            var reader = if let reader = stored.reader { reader } else { try locate(stored) }
            guard let index = stored.segments.firstIndex(where: { $0.segment.first == reader.first }) else {
                return nil
            }
            let held = stored.segments[index]
            if reader.offset >= held.length, index + 1 < stored.segments.count {
                let next = stored.segments[index + 1].segment
                reader = Reader(first: next.first, offset: next.head.count, sequence: next.first)
            }
            return try read(reader, in: stored, count: count, bytes: bytes)
        }
    }

    private func read(_ start: Reader, in stored: Stored, count: Int, bytes: Int) throws(AuditError) -> Batch? {
        guard let held = stored.segments.first(where: { $0.segment.first == start.first }) else { return nil }
        let room = max(bytes, AuditRecord.maximumLength * 2)
        let chunk = try Disk.read(path(held.segment), from: start.offset, atMost: min(room, held.length - start.offset))
        var (body, number, reader) = ([UInt8](), 0, start)
        var rest = chunk[...]
        while number < count, let end = rest.firstIndex(of: .newline) {
            guard let content = SpoolSegment.content(of: rest[..<end]) else { break }
            if number > 0 { body.append(.newline) }
            body += content.text
            number += 1
            reader.offset += end + 1 - rest.startIndex
            reader.sequence += 1
            rest = rest[(end + 1)...]
        }
        guard number > 0 else { throw AuditError("`\(path(held.segment))` is damaged") }
        let last = AuditReceipt(spool: held.segment.spool, sequence: reader.sequence - 1)
        return Batch(body: body, count: number, last: last, next: reader)
    }

    /// Where the first record stands that nobody has acknowledged.
    private func locate(_ stored: Stored) throws(AuditError) -> Reader {
        let wanted = stored.acknowledged + 1
        guard let held = stored.segments.last(where: { $0.segment.first <= wanted }) ?? stored.segments.first else {
            throw AuditError("the spool is empty")
        }
        var reader = Reader(
            first: held.segment.first, offset: held.segment.head.count, sequence: held.segment.first)
        guard reader.sequence < wanted else { return reader }
        let bytes = try Disk.read(path(held.segment), from: reader.offset, atMost: held.length - reader.offset)
        for (index, byte) in bytes.enumerated() where byte == .newline {
            reader.sequence += 1
            if reader.sequence == wanted {
                reader.offset += index + 1
                break
            }
        }
        return reader
    }

    /// What is damaged on the disk cannot be delivered: the rest of its segment is given up, and a record says so.
    private func giveUpDamaged(because reason: String) {
        let lost = stored.withLock { stored in
            let index =
                stored.segments.lastIndex { $0.segment.first <= stored.acknowledged + 1 } ?? stored.segments.startIndex
            let end = index + 1 < stored.segments.count ? stored.segments[index + 1].segment.first - 1 : stored.sequence
            defer { (stored.acknowledged, stored.reader) = (end, nil) }
            stored.segments[index].isDamaged = true
            return end - stored.acknowledged
        }
        pending.withLock { $0.dropped += lost }
        var event = AuditEvent(.dropped, at: now())
        (event.count, event.reason) = (lost, reason)
        append(event)
    }

    /// The coordinator has all up to there.
    package func acknowledge(_ batch: Batch) throws(AuditError) {
        let gone: [SpoolSegment] = stored.withLock { stored in
            guard batch.last.sequence > stored.acknowledged else { return [] }
            (stored.acknowledged, stored.reader) = (batch.last.sequence, batch.next)
            var gone: [SpoolSegment] = []
            // The last one stays: it says where the chain goes on.
            while stored.segments.count > 1, stored.segments[1].segment.first <= stored.acknowledged + 1 {
                gone.append(stored.segments.removeFirst().segment)
                stored.reader = nil
            }
            return gone
        }
        for segment in gone { try Disk.remove(path(segment)) }
        try Disk.replace(
            directory + "/" + Self.acknowledgedName, with: Array("\(batch.last.spool) \(batch.last.sequence)\n".utf8),
            synced: false)
    }

    package var figures: Figures {
        let (sequence, recorded, dropped) = pending.withLock { ($0.sequence, $0.recorded, $0.dropped) }
        return stored.withLock { stored in
            Figures(
                recorded: recorded, dropped: dropped, undelivered: sequence - min(sequence, stored.acknowledged),
                diskBytes: stored.segments.reduce(0) { $0 + $1.length })
        }
    }

    // MARK: Another chain

    /// The coordinator has heard of another chain under this one's name, as after a disk was set back: a new one begins,
    /// and what was not delivered goes into it.
    package func beginAnew() throws(AuditError) {
        try flush()
        let (old, acknowledged) = stored.withLock { ($0.segments, $0.acknowledged) }
        pending.withLock { pending in
            let spool = max(pending.spool + 1, UInt64(max(1, now().rawValue)))
            pending = Pending(
                spool: spool, sequence: 0, hash: .none, before: .none, recorded: pending.recorded,
                dropped: pending.dropped)
        }
        stored.withLock { $0 = Stored(sequence: 0, acknowledged: 0) }
        for held in old { try move(path(held.segment), after: acknowledged) }
    }

    /// Puts the records of another chain into this one.
    private func move(_ path: String, after acknowledged: UInt64) throws(AuditError) {
        for record in SpoolSegment.read(try Disk.read(path))?.records ?? [] {
            guard let record = try? AuditRecord(parsing: record.text), record.sequence > acknowledged else { continue }
            append(record.event)
        }
        try flush()
        try Disk.remove(path)
    }

    // MARK: Opening

    private static let acknowledgedName = "acknowledged"

    private struct Found {
        var spool: UInt64?
        var sequence: UInt64 = 0
        var hash = AuditHash.none
        var segments: [Held] = []
        var torn = 0
        /// Of a chain that was given up for this one.
        var strays: [String] = []
    }

    private static func open(_ directory: String) throws(AuditError) -> Found {
        var found = Found()
        var names = try Disk.names(in: directory).filter(SpoolSegment.isName)
        while let name = names.popLast() {
            let path = directory + "/" + name
            let reading = SpoolSegment.read(try Disk.read(path))
            guard let reading, reading.segment.name == name else {
                found.torn += try Disk.size(of: path)
                try Disk.remove(path)
                continue
            }
            if reading.torn > 0 { try Disk.cut(path, to: reading.length) }
            found.torn += reading.torn
            found.spool = reading.segment.spool
            found.sequence = reading.segment.first + UInt64(reading.records.count) - 1
            found.hash = reading.records.last?.hash ?? reading.segment.previous
            found.segments = [Held(segment: reading.segment, length: reading.length)]
            break
        }
        // Those before it were whole when it was begun; each is looked at again when it is delivered.
        for name in names.reversed() {
            let path = directory + "/" + name
            let head = try Disk.read(path, atMost: 256).prefix { $0 != .newline }
            guard let segment = SpoolSegment(head: head), segment.spool == found.spool else {
                found.strays.insert(path, at: 0)
                continue
            }
            found.segments.insert(Held(segment: segment, length: try Disk.size(of: path)), at: 0)
        }
        return found
    }

    private static func acknowledged(in directory: String) -> AuditReceipt? {
        guard let bytes = try? Disk.read(directory + "/" + acknowledgedName, atMost: 64) else { return nil }
        let words = String(decoding: bytes, as: UTF8.self).split { $0 == " " || $0 == "\n" }
        guard words.count == 2, let spool = UInt64(words[0]), let sequence = UInt64(words[1]) else { return nil }
        return AuditReceipt(spool: spool, sequence: sequence)
    }

    private func path(_ segment: SpoolSegment) -> String { directory + "/" + segment.name }
}
