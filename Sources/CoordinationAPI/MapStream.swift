package import Mesh

// The map as a stream: GET /v1/map?epoch=E&version=V answers with one MapEvent a line, and does not end.
//
// The first is the whole map, or the changes since V where the coordinator remembers them. Then each change comes when it
// is made, several together where the node takes them slowly, and `unchanged` every 10 s. A node that hears nothing for
// 25 s connects again. The sum of what came is the whole map, always.

/// One line of the stream.
package struct MapEvent: Codable, Equatable, Sendable {
    /// Global: versions that did not concern the node are jumped over.
    package let version: UInt64
    package let issuedAt: Timestamp
    package let validUntil: Timestamp
    /// The coordinator's newest checkpoint (a ``Checkpoint``, signed by the CA's key), where the node was not sent it yet.
    package let checkpoint: Envelope?
    package let content: MapContent
    /// How long a session lives that is not renewed, so that nodes give no more by themselves. Absent: the longest.
    package let sessionLeaseSeconds: Int?

    package init(
        version: UInt64, issuedAt: Timestamp, validUntil: Timestamp, checkpoint: Envelope?, content: MapContent,
        sessionLeaseSeconds: Int? = nil
    ) {
        (self.version, self.issuedAt, self.validUntil) = (version, issuedAt, validUntil)
        (self.checkpoint, self.content) = (checkpoint, content)
        self.sessionLeaseSeconds = sessionLeaseSeconds
    }

    /// Of one line, in bytes.
    package static let maximumLength = 64 << 20
    package static let heartbeat = Duration.seconds(10)
    /// After so long without a line a node takes the connection for dead.
    package static let silence = Duration.seconds(25)
}

/// What an event says of the map.
package enum MapContent: Equatable, Sendable {
    case whole(MapMessage)
    case changes(MapChanges)
    case unchanged
}

/// What makes of the map of one version that of a later one. What is listed replaces what has its name.
package struct MapChanges: Codable, Equatable, Sendable {
    /// The version that the node must have.
    package var from: UInt64
    /// Among them statements about admins, removals too, in the order in which they were made.
    package var definitions: [Envelope]
    /// Agents, services and policies that are gone, or that the node need not know any more.
    package var removed: [Entry]
    package var nodes: [MapMessage.NodeEntry]
    package var removedNodes: [NodeName]
    package var sessions: [MapMessage.SessionEntry]
    package var removedSessions: [SessionID]

    package init(
        from: UInt64, definitions: [Envelope] = [], removed: [Entry] = [], nodes: [MapMessage.NodeEntry] = [],
        removedNodes: [NodeName] = [], sessions: [MapMessage.SessionEntry] = [], removedSessions: [SessionID] = []
    ) {
        (self.from, self.definitions, self.removed) = (from, definitions, removed)
        (self.nodes, self.removedNodes) = (nodes, removedNodes)
        (self.sessions, self.removedSessions) = (sessions, removedSessions)
    }

    package var isEmpty: Bool {
        definitions.isEmpty && removed.isEmpty && nodes.isEmpty && removedNodes.isEmpty && sessions.isEmpty
            && removedSessions.isEmpty
    }
}

/// POST /v1/applied: what stands in the node's kernel.
package struct AppliedRequest: Codable, Sendable {
    package let version: UInt64
    package init(version: UInt64) { self.version = version }
}

extension MapContent: Codable {
    private enum Kind: String, CodingKey { case whole, changes, unchanged }
    private struct Nothing: Codable {}

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Kind.self)
        switch try container.onlyKey() {
        case .whole: self = .whole(try container.decode(MapMessage.self, forKey: .whole))
        case .changes: self = .changes(try container.decode(MapChanges.self, forKey: .changes))
        case .unchanged:
            _ = try container.nestedContainer(keyedBy: Kind.self, forKey: .unchanged)
            self = .unchanged
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Kind.self)
        switch self {
        case .whole(let map): try container.encode(map, forKey: .whole)
        case .changes(let changes): try container.encode(changes, forKey: .changes)
        case .unchanged: try container.encode(Nothing(), forKey: .unchanged)
        }
    }
}
