package import CoordinationAPI
package import Mesh

/// What a node believes of its mesh: the map, and the signed statements that it rests on.
///
///     MapEvent ──MapVerifier.check──> BelievedChange ──apply──> BelievedMap.map
///
/// A change costs what it touches, not what there is. Only ``MapVerifier`` makes changes, so whatever stands in here bore
/// the signatures that it needs.
package struct BelievedMap: Sendable {
    package internal(set) var map: NetworkMap
    /// Who the admins are, and how that came about.
    package internal(set) var chain: AdminChain
    /// The newest that was seen; nil as long as the coordinator has shown none, and then nothing is valid.
    package internal(set) var checkpoint: SignedCheckpoint?
    /// A sentence for each peer that is known and not believed.
    package var leftOut: [String] { complaints.values.sorted() }

    /// How long a session lives that is not renewed.
    package internal(set) var sessionLease = Self.longestRenewal

    var definitions: [Entry: Definition] = [:]
    /// What stood in the place of definitions that are gone: older ones never come back.
    var gone: [Entry: Moment] = [:]
    var nodes: [NodeName: NodeClaim] = [:]
    var sessions: [SessionID: SessionClaim] = [:]
    var sessionsOfNode: [NodeName: Set<SessionID>] = [:]
    var sessionsOfAgent: [AgentName: Set<SessionID>] = [:]
    /// Sessions whose own node said that they have ended, until the moment past which nobody can say otherwise.
    package internal(set) var ended: [SessionID: Timestamp] = [:]
    var places = PeerPlaces()
    var complaints: [Subject: String] = [:]
    /// When the first of the nodes' certificates runs out.
    var firstEnd = Timestamp(rawValue: .max)

    /// Of whom something is said that is not believed.
    enum Subject: Hashable {
        /// What came of a peer that cannot even be named.
        case unnamed(PeerID)
        /// What came last of a peer.
        case said(PeerPlaces.Holder)
        /// What is known of a peer.
        case holder(PeerPlaces.Holder)
    }

    /// A definition that an admin signed.
    struct Definition: Equatable, Sendable {
        let statement: Statement
        let envelope: Envelope
        let moment: Moment
    }

    /// When a document was made, and which it is.
    package struct Moment: Codable, Equatable, Sendable {
        package let madeAt: Timestamp
        package let document: Fingerprint

        package init(madeAt: Timestamp, document: Fingerprint) { (self.madeAt, self.document) = (madeAt, document) }
    }

    /// A node's statement with the certificate whose key signed it.
    struct NodeClaim: Sendable {
        let entry: MapMessage.NodeEntry
        let statement: NodeStatement
        let madeAt: Timestamp
        let key: SigningPublicKey
        let certificateEnds: Timestamp
    }

    /// A session's statement; by whom it was found to be signed, if its node was known.
    struct SessionClaim: Sendable {
        var entry: MapMessage.SessionEntry
        let statement: SessionStatement
        let madeAt: Timestamp
        var signer: SigningPublicKey?
        /// For whom it runs, where its proof was found to hold; whether he counts still is another question.
        let person: ProvedPerson?
        var expires: Timestamp
        /// Until when its node renewed it without the coordinator, which may not know of it.
        var renewed: Timestamp?
    }

    init(mesh: MeshDomain, pool: AddressPool, chain: AdminChain) {
        map = NetworkMap(
            mesh: mesh, pool: pool, version: 0, issuedAt: Timestamp(rawValue: 0), validUntil: Timestamp(rawValue: 0))
        self.chain = chain
    }

    /// More than any mesh forgets within a checkpoint's life; past it the oldest go.
    static let maximumGone = 16_384
    /// The same for sessions.
    static let maximumEnded = 16_384
}

/// A checkpoint and the CA's signature under it.
package struct SignedCheckpoint: Equatable, Sendable {
    package let checkpoint: Checkpoint
    package let envelope: Envelope
}

/// How far a registry has come: what a node never goes back behind.
package struct Position: Codable, Equatable, Comparable, Sendable {
    package let epoch: UInt64
    package let version: UInt64

    package init(epoch: UInt64, version: UInt64) { (self.epoch, self.version) = (epoch, version) }
    package init(_ checkpoint: Checkpoint) { self.init(epoch: checkpoint.epoch, version: checkpoint.version) }

    package static func < (left: Self, right: Self) -> Bool {
        (left.epoch, left.version) < (right.epoch, right.version)
    }
}

/// What a verified event changes.
package struct BelievedChange: Sendable {
    let version: UInt64
    let issuedAt: Timestamp
    var validUntil: Timestamp
    var sessionLease: Duration
    /// Whether all that was believed before is replaced.
    var isWhole = false
    /// Whether an older registry was brought back on purpose, so that older statements count again.
    var isRestored = false
    var chain: AdminChain?
    var checkpoint: SignedCheckpoint?
    var definitions: [Entry: BelievedMap.Definition] = [:]
    var removed: Set<Entry> = []
    var nodes: [NodeName: BelievedMap.NodeClaim] = [:]
    var removedNodes: Set<NodeName> = []
    var sessions: [SessionID: BelievedMap.SessionClaim] = [:]
    var removedSessions: Set<SessionID> = []
    /// Of sessions that were known: who signed them, where their node's key is another one.
    var signers: [SessionID: SigningPublicKey?] = [:]
    var complaints: [BelievedMap.Subject: String] = [:]
}
