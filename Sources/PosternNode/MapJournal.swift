package import CoordinationAPI
import Datapath
package import Mesh

/// The map on the disk: a whole one, and behind it what changed since.
///
///     file     record*
///     record   a ``SavedRecord`` in JSON, on one line
///
/// What is on the disk must never allow more than the node last acted on. So a change is on the disk before the node acts
/// on it; and where the disk does not take it, what is there goes. A record that ends early is one that was never acted
/// on. A whole map takes the place of all in one step.
package struct MapJournal: Sendable {
    private let state: StateDirectory
    private let disk: DiskCalls
    /// The length of the file; nil when there is none that can be added to.
    private var length: Int?
    private var lengthOfWhole = 0
    /// Whether there may be a map on the disk, to be added to or not.
    private var mayHold = true

    package init(_ state: StateDirectory, disk: DiskCalls = .real) { (self.state, self.disk) = (state, disk) }

    /// Longer than this, and longer than a few whole maps, a journal is written anew.
    private static let longest = 1 << 20
    /// What is read from the disk at most.
    private static let limit = MapEvent.maximumLength * 4

    /// Whether there is a map on the disk to which changes can be added.
    package var isThere: Bool { length != nil }
    /// Whether the changes have become more than the map.
    package var isLong: Bool { (length ?? 0) > max(Self.longest, 4 * lengthOfWhole) }

    /// What was kept; empty when there is nothing.
    package mutating func load() throws(NodeError) -> [SavedRecord] {
        guard let bytes = try state.read(.map, upTo: Self.limit) else {
            mayHold = false
            return []
        }
        var lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        let rest = lines.removeLast()
        var (records, isWhole) = ([SavedRecord](), rest.isEmpty)
        for (number, line) in lines.enumerated() {
            do { records.append(try JSON.decode(SavedRecord.self, from: Array(line))) } catch {
                // Of the last one a part may have reached the disk; one before it was changed by somebody.
                guard number > 0, number == lines.count - 1, rest.isEmpty else {
                    throw NodeError("the saved map cannot be read: \(error)")
                }
                isWhole = false
            }
        }
        lengthOfWhole = lines.first.map { $0.count + 1 } ?? 0
        // Behind a record that ended early nothing could be found again.
        length = isWhole && !records.isEmpty ? bytes.count : nil
        return records
    }

    /// What became of something that was to be kept.
    package enum Outcome: Equatable, Sendable {
        case kept
        /// The disk did not take it, and holds nothing that would allow more.
        case missing(because: String)
        /// The disk did not take it, and would not let go of what it holds: a restart would allow too much.
        case stale(because: String)
    }

    /// Keeps what is about to be acted on. What takes nothing away may be missing on the disk; where anything else is, what
    /// is on the disk goes.
    package mutating func keep(_ record: SavedRecord, takesAway: Bool) -> Outcome {
        do {
            if case .map(let map) = record { try replace(with: map) } else { try append(record) }
            return .kept
        } catch let reason {
            guard takesAway, mayHold else { return .missing(because: "\(reason)") }
            do { try discard() } catch { return .stale(because: "\(reason); \(error)") }
            return .missing(because: "\(reason)")
        }
    }

    /// Puts a whole map in the place of all.
    package mutating func replace(with map: SavedMap) throws(NodeError) {
        let bytes = try Self.record(.map(map))
        mayHold = true
        do { try state.write(.map, bytes, by: disk) } catch {
            // Whether the old one is there or the new one, nobody knows.
            length = nil
            throw error
        }
        (length, lengthOfWhole) = (bytes.count, bytes.count)
    }

    /// Adds what changed.
    package mutating func append(_ record: SavedRecord) throws(NodeError) {
        guard let known = length else { throw NodeError("there is no saved map to add to") }
        let bytes = try Self.record(record)
        length = nil
        try state.append(bytes, to: .map, by: disk)
        length = known + bytes.count
    }

    /// Takes what is on the disk away: nothing is better than too much.
    package mutating func discard() throws(NodeError) {
        length = nil
        try state.remove(.map, by: disk)
        mayHold = false
    }

    private static func record(_ record: SavedRecord) throws(NodeError) -> [UInt8] {
        let text: [UInt8]
        do { text = try JSON.encode(record) } catch { throw NodeError("cannot write the map: \(error)") }
        guard text.count <= MapEvent.maximumLength else { throw NodeError("the map is too long to be kept") }
        return text + [UInt8(ascii: "\n")]
    }
}

/// One step on the way to the map that was last believed.
package enum SavedRecord: Codable, Equatable, Sendable {
    case map(SavedMap)
    case event(MapEvent)
    /// What a session's node said of it without the coordinator, and when it was heard.
    case said(Envelope, at: Timestamp)
}

/// A whole map with what must not be forgotten beside it.
package struct SavedMap: Codable, Equatable, Sendable {
    /// A whole map.
    package let event: MapEvent
    package let gone: [Gone]
    package let ended: [Ended]

    /// A definition that is gone.
    package struct Gone: Codable, Equatable, Sendable {
        package let entry: Entry
        package let moment: BelievedMap.Moment
    }

    /// A session that was ended by its node.
    package struct Ended: Codable, Equatable, Sendable {
        package let session: SessionID
        package let until: Timestamp
    }
}

/// What a node never goes back behind, whatever becomes of its map.
package struct Seen: Codable, Equatable, Sendable {
    /// The farthest that the registry was seen to be.
    package var position: Position?
    /// The latest moment that the coordinator named.
    package var time: Timestamp
    /// A reading of both clocks, and in which life of this machine it was taken.
    package var utc: Timestamp
    package var boot: UInt64
    package var bootID: String
    /// Whether the reading is one that the coordinator stands behind.
    package var isSigned: Bool

    package init(position: Position?, clock: SignedClock, bootID: String) {
        (self.position, self.bootID) = (position, bootID)
        (time, isSigned) = (clock.highest, clock.isSigned)
        (utc, boot) = (clock.reading.utc, clock.reading.boot.rawValue)
    }
}

extension BelievedMap {
    /// The map as it is kept on the disk.
    package var saved: SavedMap {
        let policies = definitions.sorted { ($0.key.kind, $0.key.name) < ($1.key.kind, $1.key.name) }
        let message = MapMessage(
            mesh: map.mesh, pool: map.pool, version: map.version,
            definitions: chain.links.map(\.envelope) + policies.map(\.value.envelope),
            nodes: nodes.sorted { $0.key < $1.key }.map(\.value.entry),
            sessions: sessions.sorted { $0.key < $1.key }.map { $0.value.current })
        return SavedMap(
            event: MapEvent(
                version: map.version, issuedAt: map.issuedAt, validUntil: map.validUntil,
                checkpoint: checkpoint?.envelope, content: .whole(message),
                sessionLeaseSeconds: Int(sessionLease.milliseconds / 1000)),
            gone: gone.sorted { ($0.key.kind, $0.key.name) < ($1.key.kind, $1.key.name) }
                .map { SavedMap.Gone(entry: $0.key, moment: $0.value) },
            ended: ended.sorted { $0.key < $1.key }.map { SavedMap.Ended(session: $0.key, until: $0.value) })
    }

    /// Takes back what a saved map holds beside the map itself.
    package mutating func remember(_ saved: SavedMap) {
        gone = Dictionary(saved.gone.map { ($0.entry, $0.moment) }, uniquingKeysWith: { first, _ in first })
        for entry in definitions.keys { gone[entry] = nil }
        ended = Dictionary(saved.ended.map { ($0.session, $0.until) }, uniquingKeysWith: { first, _ in first })
        settle(Set(ended.keys.map { .session($0) }))
    }
}

extension BelievedMap.SessionClaim {
    /// The entry with the lease as it stands, which the session's node may have lengthened.
    fileprivate var current: MapMessage.SessionEntry {
        MapMessage.SessionEntry(
            peer: entry.peer, offset: entry.offset, expires: expires, maximum: entry.maximum,
            statement: entry.statement)
    }
}
