package import CoordinationAPI
import Crypto
package import Identity
package import Mesh
import Synchronization

/// The registry as it was verified when the coordinator started, and as it changed since: what requests are decided
/// by, and what nodes are told.
///
/// The database is where it comes back from. What somebody else writes there is not seen here.
package final class Memory: Sendable {
    private let state: Mutex<State>

    init(_ state: sending State) { self.state = Mutex(state) }

    func read<Result, Failure: Error>(_ body: (State) throws(Failure) -> Result) throws(Failure) -> Result {
        try state.withLock { state throws(Failure) in try body(state) }
    }

    func change<Result, Failure: Error>(_ body: (inout State) throws(Failure) -> Result) throws(Failure) -> Result {
        try state.withLock { state throws(Failure) in try body(&state) }
    }

    /// What a transaction did, after it is on disk.
    func apply(_ changes: [MapChange], version: UInt64, and more: (inout State) -> Void = { _ in }) throws {
        let bells = try change { state in
            more(&state)
            return try state.apply(changes, version: version)
        }
        for bell in bells { bell.ring() }
    }

    /// Wakes all who listen: there is a checkpoint that they were not told.
    func ringStreams() {
        for bell in read({ $0.streams.bells }) { bell.ring() }
    }

    func endStreams() { change { $0.streams.endAll() } }

    struct State: Sendable {
        var index: MapIndex
        var statements: StatementSet
        var nodes: [NodeName: NodeRecord]
        var sessions: [SessionID: SessionRecord]
        var checkpoint: SignedCheckpoint
        var streams: MapStreams

        var definitions: Definitions {
            var definitions = Definitions(nodes: Set(nodes.keys))
            for signed in statements.rows.values { definitions.take(signed.document.statement) }
            return definitions
        }

        mutating func apply(_ changes: [MapChange], version: UInt64) throws -> [Bell] {
            streams.publish(try index.apply(changes, version: version))
        }
    }
}

/// A node as the registry knows it.
package struct NodeRecord: Sendable {
    package let statement: NodeStatement
    package let madeAt: Timestamp
    package let envelope: Envelope
    package let peer: PeerID
    package let offset: MeshOffset
    package let certificate: EncodedCertificate
    /// The one before: the answer with the new one may never have come.
    package let previous: EncodedCertificate?

    var entry: MapMessage.NodeEntry {
        MapMessage.NodeEntry(peer: peer, offset: offset, certificate: certificate.pem, statement: envelope)
    }
}

/// A session as the registry knows it.
package struct SessionRecord: Equatable, Sendable {
    package let statement: SessionStatement
    package let madeAt: Timestamp
    package let envelope: Envelope
    package let peer: PeerID
    package let offset: MeshOffset
    package let started: Timestamp
    package let expires: Timestamp

    package init(
        statement: SessionStatement, madeAt: Timestamp, envelope: Envelope, peer: PeerID, offset: MeshOffset,
        started: Timestamp, expires: Timestamp
    ) {
        (self.statement, self.madeAt, self.envelope) = (statement, madeAt, envelope)
        (self.peer, self.offset, self.started, self.expires) = (peer, offset, started, expires)
    }

    package var maximum: Timestamp { started + SessionLimit.maximum }

    var content: MapContents.Session {
        MapContents.Session(
            agent: statement.agent, node: statement.node,
            entry: MapMessage.SessionEntry(
                peer: peer, offset: offset, expires: expires, maximum: maximum, statement: envelope))
    }
}
