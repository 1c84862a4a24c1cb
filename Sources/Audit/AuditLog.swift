package import Crypto
package import Mesh

/// The coordinator's log of all nodes' records: files that are only ever written at their end.
///
/// Each entry is chained to the one before it; checkpoints in between are signed by the CA's key. A file begins with an
/// entry of its own, and a full one is followed by another, whose first entry is a checkpoint: so what is too old can go
/// as whole files, and what stays can be verified without it. Beside a file's name stands how far each node's records
/// had come when it was begun, so that opening reads one file, however long the log is.
///
/// Not for two at once: an actor owns it.
package struct AuditLog: Sendable {
    package struct Limits: Sendable {
        /// A file that is as long is followed by another.
        package var segment = 16 << 20
        /// A checkpoint is due after so many entries.
        package var checkpointEntries = 1000
        /// Or so long after the first that no checkpoint is about.
        package var checkpointAge = Duration.seconds(60)

        package init() {}
        package init(segment: Int, checkpointEntries: Int = 1000, checkpointAge: Duration = .seconds(60)) {
            (self.segment, self.checkpointEntries) = (segment, checkpointEntries)
            self.checkpointAge = checkpointAge
        }
    }

    /// How far a node's records have come.
    private struct Cursor: Codable, Sendable {
        var receipt: AuditReceipt
        var hash: AuditHash
    }

    private struct Segment: Sendable {
        let first: UInt64
        let begun: Timestamp
        var length: Int
    }

    private let directory: String
    private let mesh: MeshDomain
    private let key: P256.Signing.PrivateKey
    private let limits: Limits
    private var segments: [Segment] = []
    private var cursors: [NodeName: Cursor] = [:]
    private var chain = AuditHash.none
    /// The last entry's number.
    package private(set) var last: UInt64 = 0
    private var lastReceived = Timestamp(rawValue: 0)
    /// What no checkpoint is about yet.
    private var open: (first: UInt64, previous: AuditHash, since: Timestamp)?
    /// Where the last page ended: who reads on begins there.
    private var mark: (number: UInt64, segment: UInt64, offset: Int)?
    /// What was cut from the end when it was opened, in bytes; the coordinator had acknowledged nothing of it.
    package private(set) var torn = 0

    package init(
        directory: String, mesh: MeshDomain, key: P256.Signing.PrivateKey, limits: Limits = Limits()
    ) throws(AuditError) {
        (self.directory, self.mesh, self.key, self.limits) = (directory, mesh, key, limits)
        try Disk.makeDirectory(directory)
        try load()
    }

    // MARK: Taking records

    /// Takes a node's next records, a text a line, and stores those that are new. What returns is on the disk.
    package mutating func receive(
        _ body: [UInt8], from node: NodeName, now: Timestamp
    ) throws(AuditError) -> AuditReceipt {
        var cursor = cursors[node]
        var texts: [[UInt8]] = []
        for line in body.split(separator: .newline) {
            let text = Array(line)
            let record = try AuditRecord(parsing: text)
            guard record.node == node else {
                throw AuditError(.foreign, "node `\(node)` sends a record of node `\(record.node)`")
            }
            guard try isNew(record, behind: cursor) else { continue }
            cursor = Cursor(
                receipt: AuditReceipt(spool: record.spool, sequence: record.sequence), hash: AuditHash(of: text))
            texts.append(text)
        }
        guard let cursor else { throw AuditError("there is no record in it") }
        if !texts.isEmpty {
            try write(texts.map { (LogLine.Kind.record, $0) }, now: now)
            cursors[node] = cursor
        }
        try checkpointIfDue(now: now)
        return cursor.receipt
    }

    private func isNew(_ record: AuditRecord, behind cursor: Cursor?) throws(AuditError) -> Bool {
        guard record.sequence > 0 else { throw AuditError("records are numbered from 1 on") }
        guard let cursor, record.spool <= cursor.receipt.spool else { return true }
        // Said again: of this chain, or of one that the node gave up for this one.
        guard record.spool == cursor.receipt.spool, record.sequence > cursor.receipt.sequence else { return false }
        guard record.sequence > cursor.receipt.sequence + 1 || record.previous == cursor.hash else {
            throw AuditError(
                .conflict,
                "record \(record.sequence) of node `\(record.node)` does not follow the one before it: "
                    + "the node has to begin another chain")
        }
        return true
    }

    /// How far a node's records have come.
    package func receipt(of node: NodeName) -> AuditReceipt? { cursors[node]?.receipt }

    // MARK: Writing

    private mutating func write(
        _ contents: [(kind: LogLine.Kind, content: [UInt8])], now: Timestamp
    ) throws(AuditError) {
        if let segment = segments.last, segment.length >= limits.segment { try beginSegment(now: now) }
        let received = max(now, lastReceived)
        var (bytes, number, end) = ([UInt8](), last, chain)
        for (kind, content) in contents {
            number += 1
            let line = LogLine(number: number, received: received, kind, content, after: end)
            bytes += line.text
            bytes.append(.newline)
            end = line.chain
        }
        if segments.isEmpty { segments = [Segment(first: last + 1, begun: received, length: 0)] }
        let index = segments.count - 1
        try Disk.append(bytes, to: path(segments[index]), behind: segments[index].length)
        segments[index].length += bytes.count
        if open == nil, contents.first?.kind == .record { open = (last + 1, chain, received) }
        (last, chain, lastReceived) = (number, end, received)
    }

    /// A checkpoint, where there is something that none is about.
    package mutating func checkpoint(now: Timestamp) throws(AuditError) {
        guard let open else { return }
        try write([(.checkpoint, try seal(.checkpoint, from: open.first, open.previous, now: now))], now: now)
        self.open = nil
    }

    package mutating func checkpointIfDue(now: Timestamp) throws(AuditError) {
        guard let open else { return }
        guard last - open.first + 1 >= UInt64(limits.checkpointEntries) || now - open.since >= limits.checkpointAge
        else { return }
        try checkpoint(now: now)
    }

    private func seal(
        _ purpose: AuditSeal.Purpose, from first: UInt64, _ previous: AuditHash, now: Timestamp
    ) throws(AuditError) -> [UInt8] {
        try AuditSeal(
            purpose, mesh: mesh, first: first, previous: previous, last: last, chain: chain, signedAt: now
        ).signed(with: key)
    }

    /// The first entry of a file says, signed, what the chain before it is.
    private mutating func beginSegment(now: Timestamp) throws(AuditError) {
        let (first, previous) = open.map { ($0.first, $0.previous) } ?? (last, chain)
        let statement = try seal(.checkpoint, from: first, previous, now: now)
        let segment = Segment(first: last + 1, begun: max(now, lastReceived), length: 0)
        let named = Dictionary(uniqueKeysWithValues: cursors.map { ($0.key.rawValue, $0.value) })
        try Disk.replace(cursorPath(segment.first), with: try encoded(named), synced: true)
        segments.append(segment)
        do {
            try write([(.checkpoint, statement)], now: now)
            open = nil
        } catch {
            segments.removeLast()
            throw error
        }
    }

    /// Takes away the files in which everything was received before a moment; how many entries went with them.
    package mutating func forget(before moment: Timestamp) throws(AuditError) -> UInt64 {
        let oldest = segments.first?.first ?? 0
        while segments.count > 1, segments[1].begun < moment {
            try Disk.remove(path(segments[0]))
            try Disk.remove(cursorPath(segments[0].first))
            segments.removeFirst()
            mark = nil
        }
        return (segments.first?.first ?? 0) - oldest
    }

    // MARK: Reading

    /// The oldest entry that is kept; 1 where there is none yet.
    package var first: UInt64 { segments.first?.first ?? 1 }

    package var byteCount: Int { segments.reduce(0) { $0 + $1.length } }
    package var nodeCount: Int { cursors.count }

    /// The entries after one, as lines, up to so many and about so many bytes.
    package mutating func lines(
        after number: UInt64, upTo end: UInt64 = .max, atMost count: Int, bytes limit: Int = 1 << 20
    ) throws(AuditError) -> [UInt8] {
        guard number < last else { return [] }
        var (wanted, result, taken) = (max(number, first - 1) + 1, [UInt8](), 0)
        while wanted <= min(last, end), taken < count, result.count < limit {
            guard let segment = segments.last(where: { $0.first <= wanted }) else { break }
            var (at, offset) = (segment.first, 0)
            if let mark, mark.segment == segment.first, mark.number <= wanted {
                (at, offset) = (mark.number, mark.offset)
            }
            let chunk = try Disk.read(path(segment), from: offset, atMost: segment.length - offset)
            var rest = chunk[...]
            while wanted <= min(last, end), taken < count, result.count < limit,
                let newline = rest.firstIndex(of: .newline)
            {
                if at == wanted {
                    result += rest[...newline]
                    (wanted, taken) = (wanted + 1, taken + 1)
                }
                at += 1
                rest = rest[(newline + 1)...]
                mark = (at, segment.first, offset + rest.startIndex)
            }
            guard at >= wanted else { throw AuditError("the log is damaged: entry \(wanted) is not where it belongs") }
        }
        return result
    }

    /// The first entry that was received at a moment or later; one more than the last where there is none.
    package mutating func firstEntry(since moment: Timestamp) throws(AuditError) -> UInt64 {
        let index = max(0, (segments.firstIndex { $0.begun >= moment } ?? segments.count) - 1)
        for segment in segments[min(index, segments.count)...] {
            for line in try Disk.read(path(segment), atMost: segment.length).split(separator: .newline) {
                if let entry = LogLine(line), entry.received >= moment { return entry.number }
            }
        }
        return last + 1
    }

    /// Vouches for the entries from one on to the last: the head of an exported file.
    package mutating func exportSeal(from first: UInt64, now: Timestamp) throws(AuditError) -> [UInt8] {
        let first = min(max(first, self.first), last + 1)
        return try seal(.export, from: first, try chain(before: first), now: now)
    }

    private mutating func chain(before number: UInt64) throws(AuditError) -> AuditHash {
        if number == 1 { return .none }
        if number == last + 1 { return chain }
        if number == first, let entry = LogLine(try lines(after: number - 1, atMost: 1).dropLast()),
            let seal = AuditSeal(entry.content, signedBy: key.publicKey)
        {
            return seal.chain
        }
        guard let entry = LogLine(try lines(after: number - 2, atMost: 1).dropLast()) else {
            throw AuditError("the log is damaged: entry \(number - 1) cannot be read")
        }
        return entry.chain
    }

    // MARK: Opening

    private static let suffix = ".audit"

    private func path(_ segment: Segment) -> String { "\(directory)/\(padded(segment.first))\(Self.suffix)" }
    private func cursorPath(_ first: UInt64) -> String { "\(directory)/\(padded(first)).cursors" }

    /// The files of a log, in their order: what is verified without a server.
    package static func files(in directory: String) throws(AuditError) -> [String] {
        try Disk.names(in: directory).filter { $0.hasSuffix(suffix) }.map { "\(directory)/\($0)" }
    }

    private mutating func load() throws(AuditError) {
        for path in try Self.files(in: directory) {
            let name = path.split(separator: "/").last?.dropLast(Self.suffix.count) ?? ""
            guard let first = UInt64(name) else { throw AuditError("`\(path)` is no file of the audit log") }
            let head = try Disk.read(path, atMost: LogLine.maximumLength + 1).prefix { $0 != .newline }
            let begun = LogLine(head)?.received ?? Timestamp(rawValue: 0)
            segments.append(Segment(first: first, begun: begun, length: try Disk.size(of: path)))
        }
        // A crash may leave a file of which not even the first line is whole.
        while let segment = segments.last, try !read(segment) {
            torn += segment.length
            try Disk.remove(path(segment))
            segments.removeLast()
        }
    }

    /// Reads the last file, and cuts what was being written when the coordinator stopped; false where nothing is left.
    private mutating func read(_ segment: Segment) throws(AuditError) -> Bool {
        try readCursors(segment)
        let bytes = try Disk.read(path(segment))
        var (rest, length) = (bytes[...], 0)
        var end: AuditHash? = segment.first == 1 ? AuditHash.none : nil
        while let newline = rest.firstIndex(of: .newline) {
            guard let entry = LogLine(rest[..<newline]) else { break }
            let seal = entry.kind == .checkpoint ? AuditSeal(entry.content, signedBy: key.publicKey) : nil
            guard let before = end ?? seal?.chain, AuditHash(of: entry.body, behind: before) == entry.chain,
                entry.number == (length == 0 ? segment.first : last + 1)
            else { break }
            follow(entry, before: before)
            end = entry.chain
            rest = rest[(newline + 1)...]
            length = rest.startIndex
        }
        // Of the first line of all, nothing was acknowledged.
        guard length > 0 || rest.contains(.newline) else { return false }
        let behind = bytes.count - length
        if behind > 0 {
            // What was being written ends in the middle of a line; a whole line that does not fit was changed by somebody.
            guard !rest.contains(.newline) else {
                throw AuditError(
                    "the audit log `\(path(segment))` was changed behind entry \(last): `postern audit verify --state` "
                        + "says where; move it away to begin another")
            }
            try Disk.cut(path(segment), to: length)
            torn += behind
        }
        segments[segments.count - 1].length = length
        return true
    }

    private mutating func follow(_ entry: LogLine, before: AuditHash) {
        switch entry.kind {
        case .checkpoint: open = nil
        case .record:
            if open == nil { open = (entry.number, before, entry.received) }
            if let record = try? AuditRecord(parsing: entry.content) {
                cursors[record.node] = Cursor(
                    receipt: AuditReceipt(spool: record.spool, sequence: record.sequence),
                    hash: AuditHash(of: entry.content))
            }
        }
        (last, chain, lastReceived) = (entry.number, entry.chain, entry.received)
    }

    private mutating func readCursors(_ segment: Segment) throws(AuditError) {
        cursors = [:]
        guard segment.first > 1 else { return }
        let named: [String: Cursor] = try decoded(try Disk.read(cursorPath(segment.first)))
        for (name, cursor) in named {
            guard let node = try? NodeName(name) else { throw AuditError("`\(cursorPath(segment.first))` is damaged") }
            cursors[node] = cursor
        }
    }
}
