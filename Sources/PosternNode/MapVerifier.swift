package import CoordinationAPI
import Crypto
package import Identity
package import Mesh

/// Decides what of an event is believed: every statement bears the signature it needs, and nothing goes back.
///
/// What admins say is taken as a whole or not at all, because a policy left out may be one that forbids. What nodes say
/// of themselves and of their sessions is taken one by one: leaving one out can only take access away. What was believed
/// already is not looked at again.
package struct MapVerifier: Sendable {
    package let mesh: MeshDomain
    package let pool: AddressPool
    package let anchor: TrustAnchor
    /// The first admin's, whose fingerprint stood in the join token.
    package let root: SigningPublicKey

    package init(mesh: MeshDomain, pool: AddressPool, anchor: TrustAnchor, root: SigningPublicKey) {
        (self.mesh, self.pool, self.anchor, self.root) = (mesh, pool, anchor, root)
    }

    /// How long a node may go on without its coordinator, whatever the coordinator says.
    package static let longestLease = Duration.seconds(86_400)

    /// Looks at the certificates in an event that are not known yet: the one step that may take its time.
    package func certificates(in event: MapEvent, after belief: BelievedMap?) async -> Certificates {
        let entries: [MapMessage.NodeEntry] =
            switch event.content {
            case .whole(let map): map.nodes
            case .changes(let changes): changes.nodes
            case .unchanged: []
            }
        var found: Certificates = [:]
        for entry in entries where found[entry.certificate] == nil {
            if let name = entry.claimedName, belief?.nodes[name]?.entry.certificate == entry.certificate { continue }
            found[entry.certificate] = await certificate(entry.certificate, at: event.issuedAt)
        }
        return found
    }

    package typealias Certificates = [String: Result<VerifiedCertificate, NodeError>]

    private func certificate(_ pem: String, at now: Timestamp) async -> Result<VerifiedCertificate, NodeError> {
        do { return .success(try await anchor.verify(EncodedCertificate(pem: pem), for: .client, at: now)) } catch {
            return .failure(NodeError("\(error)"))
        }
    }

    /// What an event changes in what is believed; `floor` is how far the registry was ever seen to be.
    package func check(
        _ event: MapEvent, certificates: Certificates, after belief: BelievedMap?, floor: Position? = nil
    ) throws(NodeError) -> BelievedChange {
        var check = MapCheck(verifier: self, event: event, certificates: certificates, belief: belief, floor: floor)
        try check.run()
        return check.change
    }
}

/// One event on its way to be believed.
struct MapCheck {
    let verifier: MapVerifier
    let event: MapEvent
    let certificates: MapVerifier.Certificates
    let belief: BelievedMap?
    let floor: Position?
    var change: BelievedChange
    /// Who the admins are once the event is believed.
    private var chain: AdminChain?

    init(
        verifier: MapVerifier, event: MapEvent, certificates: MapVerifier.Certificates, belief: BelievedMap?,
        floor: Position?
    ) {
        (self.verifier, self.event, self.certificates) = (verifier, event, certificates)
        (self.belief, self.floor) = (belief, floor)
        change = BelievedChange(
            version: event.version, issuedAt: event.issuedAt, validUntil: event.validUntil,
            sessionLease: BelievedMap.sessionLease(in: event))
        chain = belief?.chain
    }

    mutating func run() throws(NodeError) {
        try checkCheckpoint()
        try checkVersion()
        switch event.content {
        case .whole(let map):
            guard map.mesh == verifier.mesh, map.pool == verifier.pool else {
                throw NodeError("the map is of another mesh, `\(map.mesh)`, or of another address pool")
            }
            change.isWhole = true
            try checkChain(map.definitions)
            try checkDefinitions(map.definitions, removed: [])
            checkNodes(map.nodes)
            checkSessions(map.sessions)
        case .changes(let changes):
            try checkChain(changes.definitions)
            try checkDefinitions(changes.definitions, removed: changes.removed)
            change.removedNodes.formUnion(changes.removedNodes)
            change.removedSessions.formUnion(changes.removedSessions)
            checkNodes(changes.nodes)
            checkSessions(changes.sessions)
        case .unchanged:
            guard belief != nil else {
                throw NodeError("the coordinator says that nothing changed, and there is no map")
            }
        }
        try checkDigests()
        change.validUntil = lease
    }

    /// Without a checkpoint, or past its end, nothing says that no removal is withheld: there is no lease.
    private var lease: Timestamp {
        guard let checkpoint = (change.checkpoint ?? belief?.checkpoint)?.checkpoint else { return event.issuedAt }
        return min(event.validUntil, event.issuedAt + MapVerifier.longestLease, checkpoint.notAfter)
    }
}

// MARK: - How far the registry is

extension MapCheck {
    private mutating func checkCheckpoint() throws(NodeError) {
        guard let envelope = event.checkpoint, envelope != belief?.checkpoint?.envelope else { return }
        let document: Document
        do { document = try envelope.document(signedByOneOf: [verifier.anchor.publicKey], of: verifier.mesh) } catch {
            throw NodeError("the coordinator's checkpoint is not to be believed: \(error)")
        }
        guard case .checkpoint(let checkpoint) = document.statement else {
            throw NodeError("the coordinator's checkpoint is another statement")
        }
        let highest = [floor, belief?.checkpoint.map { Position($0.checkpoint) }].compactMap(\.self).max()
        if let highest, Position(checkpoint) < highest {
            throw NodeError(
                "the coordinator is at version \(checkpoint.version) of epoch \(checkpoint.epoch), and was at "
                    + "\(highest.version) of \(highest.epoch) before: an older registry is refused")
        }
        change.checkpoint = SignedCheckpoint(checkpoint: checkpoint, envelope: envelope)
        change.isRestored = highest.map { checkpoint.epoch > $0.epoch } ?? false
    }

    private func checkVersion() throws(NodeError) {
        guard let known = belief?.map.version else {
            guard case .whole = event.content else { throw NodeError("the coordinator sent changes of no map") }
            return
        }
        if !change.isRestored, event.version < known {
            throw NodeError("the coordinator offers map \(event.version), older than \(known): it is refused")
        }
        if case .changes(let changes) = event.content {
            // What was changed since an older version includes what was changed since ours.
            guard changes.from <= known, !change.isRestored else {
                throw NodeError("the coordinator sent changes of map \(changes.from), and this node has \(known)")
            }
        }
    }

    /// Policies and admins are the two that every node holds in full, so that it sees what is withheld.
    private func checkDigests() throws(NodeError) {
        guard let checkpoint = (change.checkpoint ?? belief?.checkpoint)?.checkpoint else { return }
        if change.checkpoint != nil || change.chain != nil {
            let links = chain?.links ?? []
            guard Fingerprint(ofStatements: links.map { ($0.document.statement, $0.envelope) }) == checkpoint.admins
            else { throw NodeError("the map's admins are not those of the coordinator's checkpoint: it is refused") }
        }
        let isTouched = (change.removed.union(change.definitions.keys)).contains(where: \.isPolicy)
        if change.isWhole || isTouched || checkpoint.policies != belief?.checkpoint?.checkpoint.policies {
            guard Fingerprint(ofStatements: policies()) == checkpoint.policies else {
                throw NodeError("the map's policies are not those of the coordinator's checkpoint: it is refused")
            }
        }
    }

    private func policies() -> [(statement: Statement, envelope: Envelope)] {
        var all = change.isWhole ? [:] : (belief?.definitions ?? [:]).filter { $0.key.isPolicy }
        for entry in change.removed { all[entry] = nil }
        all.merge(change.definitions.filter { $0.key.isPolicy }) { $1 }
        return all.values.map { ($0.statement, $0.envelope) }
    }
}

// MARK: - What admins say

extension MapCheck {
    /// The chain of admins: as long as the one we know, and the same so far.
    private mutating func checkChain(_ envelopes: [Envelope]) throws(NodeError) {
        let links = envelopes.filter(\.isAboutAdmins)
        do {
            if change.isWhole {
                let chain = try AdminChain(replaying: links, root: verifier.root, of: verifier.mesh)
                if let known = belief?.chain.links, !change.isRestored, !chain.links.starts(with: known) {
                    throw NodeError("it leaves out what is known of the admins")
                }
                (self.chain, change.chain) = (chain, chain)
            } else {
                guard var longer = chain else { return }
                for link in links where !longer.links.contains(where: { $0.envelope == link }) { try longer.take(link) }
                if longer.links.count != chain?.links.count { (chain, change.chain) = (longer, longer) }
            }
        } catch { throw NodeError("the map's admins are not to be believed: \(error)") }
    }

    private mutating func checkDefinitions(_ envelopes: [Envelope], removed: [Entry]) throws(NodeError) {
        guard let chain else { throw NodeError("the map says nothing of the admins") }
        change.removed.formUnion(removed.filter { $0.isDefinition })
        for envelope in envelopes where !envelope.isAboutAdmins {
            do { try take(envelope, chain) } catch {
                throw NodeError("the map holds a definition that is not to be believed: \(error)")
            }
        }
        // Whoever signed only with a key that counts no more is to be asked again; the coordinator brings the answer in
        // the same event.
        guard change.chain != nil, !change.isWhole else { return }
        for (entry, definition) in belief?.definitions ?? [:]
        where change.definitions[entry] == nil && !change.removed.contains(entry) {
            guard chain.hasSigned(definition.envelope) else {
                throw NodeError("\(entry.kind) `\(entry.name)` bears the signature of no admin that is left")
            }
        }
    }

    private mutating func take(_ envelope: Envelope, _ chain: AdminChain) throws {
        // The signature was checked when it came; what remains is whether its key still counts.
        if let known = known(envelope), chain.hasSigned(envelope) { return try take(known) }
        let document = try chain.document(in: envelope)
        guard let entry = document.statement.entry, document.statement.isDefinition else {
            throw NodeError("its statement defines nothing")
        }
        let moment = BelievedMap.Moment(
            madeAt: document.madeAt, document: Fingerprint(of: Array(envelope.document.utf8)))
        try checkIsNewer(moment, entry)
        try take(BelievedMap.Definition(statement: document.statement, envelope: envelope, moment: moment))
    }

    private mutating func take(_ definition: BelievedMap.Definition) throws(NodeError) {
        guard let entry = definition.statement.entry else { return }
        if let other = change.definitions[entry], !definition.moment.replaces(other.moment) {
            guard other.moment.replaces(definition.moment) else {
                throw NodeError("\(entry.kind) `\(entry.name)` was defined twice at one moment")
            }
            return
        }
        change.definitions[entry] = definition
        change.removed.remove(entry)
    }

    private func known(_ envelope: Envelope) -> BelievedMap.Definition? {
        guard let belief, let entry = envelope.unverifiedDocument?.statement.entry,
            let known = belief.definitions[entry], known.envelope == envelope
        else { return nil }
        return known
    }

    private func checkIsNewer(_ moment: BelievedMap.Moment, _ entry: Entry) throws(NodeError) {
        guard !change.isRestored, let known = belief?.definitions[entry]?.moment ?? belief?.gone[entry] else { return }
        guard moment.replaces(known) else {
            throw NodeError(
                "\(entry.kind) `\(entry.name)` was made at \(moment.madeAt), and a newer one, or another, is known "
                    + "of \(known.madeAt)")
        }
    }
}

extension BelievedMap.Moment {
    /// A later document, or the very same.
    fileprivate func replaces(_ other: Self) -> Bool { madeAt > other.madeAt || self == other }
}

extension AdminChain {
    /// Whether one of the signatures, which were found to fit before, is that of a key that counts.
    fileprivate func hasSigned(_ envelope: Envelope) -> Bool {
        envelope.signatures.contains { signature in admins.values.contains { $0.description == signature.key } }
    }
}

extension Statement {
    fileprivate var isDefinition: Bool {
        switch self {
        case .agent, .service, .policy: true
        default: false
        }
    }
}

extension Entry {
    fileprivate var isPolicy: Bool { if case .policy = self { true } else { false } }

    fileprivate var isDefinition: Bool {
        switch self {
        case .agent, .service, .policy: true
        case .admin, .node: false
        }
    }
}

extension Envelope {
    /// What it says, whoever says it: only for finding what is to be checked.
    var unverifiedDocument: Document? {
        guard document.utf8.count <= Self.maximumLength else { return nil }
        return try? JSON.decode(Document.self, from: Array(document.utf8))
    }

    fileprivate var isAboutAdmins: Bool {
        if case .admin = unverifiedDocument?.statement.entry { true } else { false }
    }
}
