import CoordinationAPI
package import Mesh

/// Which versions changed what, as far back as is remembered, so that a node that was away gets what it missed.
package struct MapHistory: Sendable {
    private var deltas: [MapDelta] = []
    private var first = 0
    /// The version before the oldest one that is remembered.
    private var floor: UInt64
    private var newest: UInt64
    private var size = 0

    package static let maximumVersions = 4096
    /// Over all versions: one change may concern every node.
    package static let maximumItems = 1 << 20

    package init(from version: UInt64) { (floor, newest) = (version, version) }

    package mutating func add(_ delta: MapDelta) {
        deltas.append(delta)
        newest = delta.version
        size += delta.size
        while deltas.count - first > Self.maximumVersions || size > Self.maximumItems, first < deltas.count {
            (floor, size) = (deltas[first].version, size - deltas[first].size)
            first += 1
        }
        // What was given up is dropped now and then, and not one by one.
        if first > Self.maximumVersions {
            deltas.removeFirst(first)
            first = 0
        }
    }

    /// What changed of a node's map after a version; nil if that cannot be told.
    package func items(for node: NodeName, after version: UInt64) -> Set<MapItem>? {
        guard version >= floor, version <= newest else { return nil }
        var low = first
        var high = deltas.count
        while low < high {
            let middle = (low + high) / 2
            if deltas[middle].version <= version { low = middle + 1 } else { high = middle }
        }
        return deltas[low...].reduce(into: []) { $0.formUnion($1.items(for: node)) }
    }
}

extension MapDelta {
    fileprivate var size: Int { everywhere.count + nodes.values.reduce(1) { $0 + $1.count } }
}

/// The nodes that listen, and what each is still to be told. What comes while a node is slow is merged.
struct MapStreams: Sendable {
    private var history: MapHistory
    private var readers: [NodeName: Reader] = [:]
    private var nextTicket: UInt64 = 0
    /// The version at which a node joined: what it had before is not its map.
    private var joined: [NodeName: UInt64] = [:]

    /// One node's stream, in the place of the one it had before.
    struct Ticket: Hashable, Sendable {
        let node: NodeName
        let number: UInt64
        let bell: Bell

        static func == (left: Ticket, right: Ticket) -> Bool { left.number == right.number }
        func hash(into hasher: inout Hasher) { hasher.combine(number) }
    }

    private struct Reader {
        let ticket: Ticket
        /// The version that the node was told last; nil before the whole map.
        var told: UInt64?
        var pending: Set<MapItem>
        var checkpoint: Envelope?
    }

    /// What the next event of a stream is about.
    struct Next {
        let from: UInt64?
        let items: Set<MapItem>
        let isNewCheckpoint: Bool
    }

    init(version: UInt64) { history = MapHistory(from: version) }

    /// Takes a version up; gives the bells of those who want to know.
    mutating func publish(_ delta: MapDelta) -> [Bell] {
        history.add(delta)
        let names = delta.everywhere.isEmpty ? Array(delta.nodes.keys) : Array(readers.keys)
        return names.compactMap { name in
            readers[name]?.pending.formUnion(delta.items(for: name))
            return readers[name]?.ticket.bell
        }
    }

    /// Opens a node's stream, from the version that it has where that is known.
    mutating func open(_ node: NodeName, after version: UInt64?) -> Ticket {
        nextTicket += 1
        let ticket = Ticket(node: node, number: nextTicket, bell: Bell())
        let missed = version.flatMap { $0 >= joined[node] ?? 0 ? history.items(for: node, after: $0) : nil }
        let old = readers.updateValue(
            Reader(ticket: ticket, told: missed == nil ? nil : version, pending: missed ?? [], checkpoint: nil),
            forKey: node)
        old?.ticket.bell.ring()
        return ticket
    }

    /// What waits for a stream.
    struct Look {
        fileprivate let hasChanges: Bool
        fileprivate let checkpoint: Envelope?

        func hasNews(checkpoint newest: Envelope) -> Bool { hasChanges || checkpoint != newest }
    }

    /// Nil when the stream has ended.
    func look(_ ticket: Ticket) -> Look? {
        guard let reader = readers[ticket.node], reader.ticket == ticket else { return nil }
        return Look(hasChanges: reader.told == nil || !reader.pending.isEmpty, checkpoint: reader.checkpoint)
    }

    /// Takes what a stream is to be told; nil when it has ended.
    mutating func take(_ ticket: Ticket, version: UInt64, checkpoint: Envelope) -> Next? {
        guard var reader = readers[ticket.node], reader.ticket == ticket else { return nil }
        let next = Next(
            from: reader.told, items: reader.pending, isNewCheckpoint: reader.checkpoint != checkpoint)
        (reader.told, reader.pending, reader.checkpoint) = (version, [], checkpoint)
        readers[ticket.node] = reader
        return next
    }

    mutating func close(_ ticket: Ticket) {
        if readers[ticket.node]?.ticket == ticket { readers[ticket.node] = nil }
    }

    /// Ends the stream of a node that is gone; one that comes is another.
    mutating func end(_ node: NodeName) { readers.removeValue(forKey: node)?.ticket.bell.ring() }

    var count: Int { readers.count }
    var bells: [Bell] { readers.values.map(\.ticket.bell) }

    mutating func endAll() {
        for reader in readers.values { reader.ticket.bell.ring() }
        readers = [:]
    }

    mutating func noteJoin(of node: NodeName, at version: UInt64) { joined[node] = version }
}
