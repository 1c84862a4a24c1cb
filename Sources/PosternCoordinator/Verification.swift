import CoordinationAPI
import Crypto
import Identity
import Mesh

/// Why a coordinator does not serve what its database holds.
package struct Tampering: Error, Equatable, Sendable, CustomStringConvertible {
    package let reason: String
    package var description: String {
        "the database is not as this coordinator left it, so it serves nothing: \(reason)"
    }
    init(_ reason: String) { self.reason = reason }
}

/// What the database holds, as it was read: believed by nobody yet.
package struct StoredRegistry: Sendable {
    struct Row: Sendable {
        let kind: String
        let name: String
        let envelope: Envelope
    }

    struct Node: Sendable {
        let name: String
        let key: String
        let peer: PeerID
        let offset: MeshOffset
        let certificate: String
        let previous: String?
        let statement: Envelope
    }

    struct Session: Sendable {
        let id: String
        let agent: String
        let node: String
        let key: String
        let peer: PeerID
        let offset: MeshOffset
        let started: Timestamp
        let expires: Timestamp
        let statement: Envelope
    }

    struct Logged: Sendable {
        let number: Int64
        let version: UInt64
        let subject: String
        let envelope: Envelope
    }

    let settings: Store.Settings
    let version: UInt64
    let admins: [Envelope]
    let statements: [Row]
    let nodes: [Node]
    let sessions: [Session]
    /// All that was signed about nodes and what admins keep, in order.
    let log: [Logged]
}

/// Checks a database against the checkpoint before anything of it is served.
struct Verification {
    let stored: StoredRegistry
    let ca: CertificateAuthority
    let checkpoint: SignedCheckpoint

    private var mesh: MeshDomain { stored.settings.domain }

    /// The registry, if it is the one that the checkpoint is about, or one that admins changed since.
    func memory() async throws -> (state: Memory.State, isAhead: Bool) {
        let statements = try statements()
        guard stored.version >= checkpoint.checkpoint.version else {
            throw Tampering(
                "it is of version \(stored.version), and the last checkpoint of version "
                    + "\(checkpoint.checkpoint.version): an older copy was put back. If that was meant, run `restore`")
        }
        let isAhead = !isCovered(statements)
        if isAhead { try followLog(to: statements) }
        return (try await state(statements), isAhead)
    }

    /// The registry, whatever the checkpoint says: for an operator who put an older copy back on purpose.
    func restored() async throws -> Memory.State { try await state(try statements()) }

    private func state(_ statements: StatementSet) async throws -> Memory.State {
        let nodes = try await nodes(statements)
        let sessions = try sessions(nodes, statements)
        var index = MapIndex(mesh: mesh, pool: stored.settings.pool)
        let changes =
            [.admins(statements.chain.links.map(\.envelope))]
            + statements.rows.filter { $0.key.kind != StatementSet.Key.removedNode }.values
            .compactMap { MapContents.change(by: $0) }
            + nodes.values.map { .node($0.statement.name, $0.entry) }
            + sessions.values.map { .session($0.statement.id, $0.content) }
        _ = try index.apply(changes, version: stored.version)
        return Memory.State(
            index: index, statements: statements, nodes: nodes, sessions: sessions, checkpoint: checkpoint,
            streams: MapStreams(version: stored.version))
    }

    private func isCovered(_ statements: StatementSet) -> Bool {
        statements.fingerprint == checkpoint.checkpoint.statements
            && statements.adminsFingerprint == checkpoint.checkpoint.admins
    }

    // MARK: What admins said

    private func statements() throws -> StatementSet {
        let chain: AdminChain
        do { chain = try AdminChain(replaying: stored.admins, root: checkpoint.file.root, of: mesh) } catch {
            throw Tampering("\(error)")
        }
        let formerKeys = Set(
            chain.links.compactMap { link in
                if case .admin(let admin) = link.document.statement { admin.key } else { nil }
            })
        var rows: [StatementSet.Key: StatementSet.Signed] = [:]
        for row in stored.statements {
            let what = "\(row.kind) `\(row.name)`"
            let document: Document
            do {
                // A node's removal may have been signed by an admin who was removed later; it only narrows.
                document =
                    row.kind == StatementSet.Key.removedNode
                    ? try row.envelope.document(signedByOneOf: formerKeys.map(\.key), of: mesh)
                    : try chain.document(in: row.envelope)
            } catch { throw Tampering("\(what) is not to be believed: \(error)") }
            guard let key = StatementSet.Key(document.statement), key.kind == row.kind, key.name == row.name else {
                throw Tampering("\(what) is kept under a name that it does not bear")
            }
            rows[key] = StatementSet.Signed(document: document, envelope: row.envelope)
        }
        return StatementSet(chain: chain, rows: rows)
    }

    /// The changes that the log holds beyond the checkpoint must be an admin's, made after it, and lead from what it
    /// is about to what there is: then only the writing of the checkpoint was missed.
    private func followLog(to statements: StatementSet) throws {
        let version = checkpoint.checkpoint.version
        let ahead = stored.log.filter { $0.version > version && entry(in: $0.envelope) != nil }
        let unexplained = Tampering(
            "its statements are not those of the last checkpoint, of version \(version): something was added, withheld "
                + "or brought back")
        guard !ahead.isEmpty, var old = before(ahead, statements), isCovered(old) else { throw unexplained }
        let first = ahead.map(\.number).min() ?? 0
        var newest = Dictionary(
            stored.log.filter { $0.number < first }.map { ($0.subject, read($0.envelope)?.madeAt) },
            uniquingKeysWith: { _, later in later })
        for row in ahead {
            let document: Document
            do { document = try old.take(row.envelope) } catch {
                throw Tampering("a change of version \(row.version) is not to be believed: \(error)")
            }
            if let before = newest[row.subject] ?? nil, before >= document.madeAt {
                throw Tampering("a change of version \(row.version) is older than what was there")
            }
            newest[row.subject] = document.madeAt
            guard document.madeAt >= checkpoint.signedAt + (.zero - Freshness.tolerance) else {
                throw Tampering(
                    "a change of version \(row.version) was made at \(document.madeAt), long before the last checkpoint"
                )
            }
        }
        guard old == statements else { throw unexplained }
    }

    /// The statements as they stood before some changes, by what the log says was there then.
    private func before(_ ahead: [StoredRegistry.Logged], _ statements: StatementSet) -> StatementSet? {
        let texts = Set(ahead.map(\.envelope.document))
        let links = stored.admins.filter { !texts.contains($0.document) }
        guard let chain = try? AdminChain(replaying: links, root: checkpoint.file.root, of: mesh) else { return nil }
        var rows = statements.rows
        let first = ahead.map(\.number).min() ?? 0
        for subject in Set(ahead.map(\.subject)) {
            let earlier = stored.log.filter { $0.subject == subject && $0.number < first }
            let documents = earlier.compactMap { row in
                read(row.envelope).map { StatementSet.Signed(document: $0, envelope: row.envelope) }
            }
            // Of a node the last removal counts, though it joined again since; of all else the last word.
            let removal = documents.last { if case .removal(.node) = $0.document.statement { true } else { false } }
            let keys = ahead.filter { $0.subject == subject }.compactMap { read($0.envelope)?.statement }
            for statement in keys {
                switch statement {
                case .removal(.node(let name)):
                    rows[.init(kind: StatementSet.Key.removedNode, name: name.rawValue)] = removal
                case .removal(let entry):
                    rows[.init(kind: entry.kind, name: entry.name)] = documents.last.flatMap(definition)
                default:
                    if let key = StatementSet.Key(statement) { rows[key] = documents.last.flatMap(definition) }
                }
            }
        }
        return StatementSet(chain: chain, rows: rows)
    }

    private func definition(_ signed: StatementSet.Signed) -> StatementSet.Signed? {
        if case .removal = signed.document.statement { return nil }
        return signed
    }

    private func entry(in envelope: Envelope) -> Entry? { read(envelope)?.statement.entry }

    private func read(_ envelope: Envelope) -> Document? {
        try? JSON.decode(Document.self, from: Array(envelope.document.utf8))
    }

    // MARK: What nodes said

    private func nodes(_ statements: StatementSet) async throws -> [NodeName: NodeRecord] {
        var nodes: [NodeName: NodeRecord] = [:]
        let newest = Dictionary(
            stored.log.filter { $0.subject.hasPrefix("node/") }.map { ($0.subject, $0.envelope.document) },
            uniquingKeysWith: { _, later in later })
        for row in stored.nodes {
            do {
                let record = try await node(row)
                guard newest["node/\(row.name)"] == row.statement.document else {
                    throw Tampering("its statement is not the newest one that was received")
                }
                let removal = statements.rows[.init(kind: StatementSet.Key.removedNode, name: row.name)]
                guard removal.map({ $0.document.madeAt < record.madeAt }) ?? true else {
                    throw Tampering("an admin removed it since")
                }
                nodes[record.statement.name] = record
            } catch {
                throw Tampering(
                    "node `\(row.name)` is not to be believed: \((error as? Tampering)?.reason ?? "\(error)")")
            }
        }
        for (subject, text) in newest where nodes[NodeName(unchecked: String(subject.dropFirst(5)))] == nil {
            let envelope = Envelope(document: text, signatures: [])
            if case .node(let statement)? = read(envelope)?.statement {
                throw Tampering("node `\(statement.name)` joined, was never removed, and is not there")
            }
        }
        return nodes
    }

    private func node(_ row: StoredRegistry.Node) async throws -> NodeRecord {
        let certificate = try EncodedCertificate(pem: row.certificate)
        // It may have expired while we were away; then the node is shut out by that, and not by us.
        let verified = try await ca.anchor.verify(certificate, for: .client, at: certificate.validFrom)
        let document = try row.statement.document(signedByOneOf: [verified.publicKey], of: mesh)
        guard case .node(let statement) = document.statement, verified.id.role == .node(statement.name),
            statement.name.rawValue == row.name, statement.key.description == row.key
        else { throw Tampering("name, key, certificate and statement are not of one node") }
        return NodeRecord(
            statement: statement, madeAt: document.madeAt, envelope: row.statement, peer: row.peer, offset: row.offset,
            certificate: certificate, previous: try row.previous.map { try EncodedCertificate(pem: $0) })
    }

    private func sessions(
        _ nodes: [NodeName: NodeRecord], _ statements: StatementSet
    ) throws -> [SessionID: SessionRecord] {
        var definitions = Definitions()
        for signed in statements.rows.values { definitions.take(signed.document.statement) }
        var sessions: [SessionID: SessionRecord] = [:]
        for row in stored.sessions {
            do {
                guard let node = nodes[NodeName(unchecked: row.node)] else { throw Tampering("its node is not there") }
                let key = try node.certificate.publicKey
                let document = try row.statement.document(signedByOneOf: [key], of: mesh)
                guard case .session(let said) = document.statement, said.id.rawValue == row.id,
                    said.agent.rawValue == row.agent, said.node.rawValue == row.node, said.key.description == row.key
                else { throw Tampering("what is kept of it is not what its node said") }
                try Sessions.mayRun(said.agent, on: said.node, definitions.agents)
                sessions[said.id] = SessionRecord(
                    statement: said, madeAt: document.madeAt, envelope: row.statement, peer: row.peer,
                    offset: row.offset, started: row.started, expires: row.expires)
            } catch {
                throw Tampering(
                    "session `\(row.id)` is not to be believed: \((error as? Tampering)?.reason ?? "\(error)")")
            }
        }
        return sessions
    }
}
