package import CoordinationAPI
package import Mesh

/// Every statement of admins that counts: who they are, what they defined, and which nodes they removed.
///
/// A checkpoint is about exactly this.
package struct StatementSet: Equatable, Sendable {
    package private(set) var chain: AdminChain
    package private(set) var rows: [Key: Signed]

    /// What a statement is known by: of one kind and name there is one.
    package struct Key: Hashable, Comparable, Sendable {
        package let kind: String
        package let name: String

        package static func < (left: Key, right: Key) -> Bool { (left.kind, left.name) < (right.kind, right.name) }
    }

    /// A statement, read and as it was signed.
    package struct Signed: Equatable, Sendable {
        package let document: Document
        package let envelope: Envelope

        package init(document: Document, envelope: Envelope) { (self.document, self.envelope) = (document, envelope) }
    }

    package init(chain: AdminChain, rows: [Key: Signed] = [:]) { (self.chain, self.rows) = (chain, rows) }

    /// Takes a statement that a live admin signed, whatever it says of definitions.
    package mutating func take(_ envelope: Envelope) throws(AdminChainError) -> Document {
        let document: Document
        do { document = try chain.document(in: envelope) } catch { throw .untrusted(error) }
        let signed = Signed(document: document, envelope: envelope)
        switch document.statement {
        case .admin, .removal(.admin): try chain.take(envelope)
        case .agent, .service, .policy, .removal(.node):
            if let key = Key(document.statement) { rows[key] = signed }
        case .removal(let entry): rows[Key(kind: entry.kind, name: entry.name)] = nil
        case .node, .session, .renewal, .sessionEnd, .login, .presence, .checkpoint: break
        }
        return document
    }

    /// The first statement that bears the signatures of former admins only. Removals of nodes count for good: they
    /// were taken when their signers were admins, and only narrow.
    package var orphan: Key? {
        let keys = Set(chain.admins.values.map(\.description))
        return rows.filter { key, signed in
            key.kind != Key.removedNode && !signed.envelope.signatures.contains { keys.contains($0.key) }
        }.keys.min()
    }

    package var envelopes: [Envelope] {
        chain.links.map(\.envelope) + rows.sorted { $0.key < $1.key }.map(\.value.envelope)
    }

    /// A checkpoint about these statements.
    package func checkpoint(epoch: UInt64, version: UInt64, now: Timestamp) -> Checkpoint {
        Checkpoint(
            epoch: epoch, version: version, statements: fingerprint, admins: adminsFingerprint,
            policies: Fingerprint(
                ofStatements: rows.filter { $0.key.kind == "policy" }.values.map {
                    ($0.document.statement, $0.envelope)
                }),
            notAfter: now + Checkpoint.lifetime)
    }

    package var fingerprint: Fingerprint {
        Fingerprint(ofStatements: links + rows.values.map { ($0.document.statement, $0.envelope) })
    }
    package var adminsFingerprint: Fingerprint { Fingerprint(ofStatements: links) }

    private var links: [(statement: Statement, envelope: Envelope)] {
        chain.links.map { ($0.document.statement, $0.envelope) }
    }
}

extension StatementSet.Key {
    static let removedNode = "removal of node"

    /// Where the statement is kept; nil for one that is not kept under a name of its own.
    package init?(_ statement: Statement) {
        switch statement {
        case .agent, .service, .policy:
            guard let entry = statement.entry else { return nil }
            self.init(kind: entry.kind, name: entry.name)
        case .removal(.node(let name)): self.init(kind: Self.removedNode, name: name.rawValue)
        default: return nil
        }
    }
}

extension MapContents {
    /// What a statement changes of the map; nil where a map says nothing of it, or where admins come as a chain.
    static func change(by signed: StatementSet.Signed) -> MapChange? {
        switch signed.document.statement {
        case .agent(let agent): .agent(agent.name, .init(definition: agent, envelope: signed.envelope))
        case .service(let service): .service(service.name, .init(definition: service, envelope: signed.envelope))
        case .policy(let policy): .policy(policy.name, .init(document: policy, envelope: signed.envelope))
        case .removal(.agent(let name)): .agent(name, nil)
        case .removal(.service(let name)): .service(name, nil)
        case .removal(.policy(let name)): .policy(name, nil)
        case .removal(.node(let name)): .node(name, nil)
        case .removal(.admin), .admin, .node, .session, .renewal, .sessionEnd, .login, .presence, .checkpoint: nil
        }
    }
}
