package import CoordinationAPI
import Crypto
package import Mesh

/// A change by an admin whose signatures hold: what is left is whether the registry can take it.
package struct Change: Sendable {
    package struct Item: Sendable {
        package let envelope: Envelope
        package let document: Document
        /// By which the same document is known again, whatever signatures it bears.
        package let digest: String
    }

    package let items: [Item]
    /// What counts after the change.
    package let statements: StatementSet

    package init(_ request: ChangeRequest, on statements: StatementSet, now: Timestamp) throws(Refusal) {
        guard (1...ChangeRequest.maximumDocuments).contains(request.documents.count) else {
            throw .invalid("a change has 1 to \(ChangeRequest.maximumDocuments) documents")
        }
        var items: [Item] = []
        var result = statements
        for (index, envelope) in request.documents.enumerated() {
            let document: Document
            do { document = try result.take(envelope) } catch {
                throw Refusal(error.refusalKind, "document \(index + 1) is refused: \(error)")
            }
            do { try Freshness.check(document.madeAt, now: now) } catch {
                throw .invalid("document \(index + 1) is refused: \(error)")
            }
            items.append(Item(envelope: envelope, document: document, digest: Self.digest(of: envelope)))
        }
        guard Set(items.map(\.digest)).count == items.count else {
            throw .conflict("a document comes twice in the change")
        }
        if result.chain.admins.count < statements.chain.admins.count || result.chain != statements.chain,
            let orphan = result.orphan
        {
            throw .invalid(
                "\(orphan.kind) `\(orphan.name)` was signed by a removed admin only: sign it again in the same change")
        }
        (self.items, self.statements) = (items, result)
    }

    /// Over the text alone: signatures can be written in more than one way.
    static func digest(of envelope: Envelope) -> String { hex(SHA256.hash(data: Array(envelope.document.utf8))) }

    /// The definitions after the change: all of it, or nothing.
    package func applied(to definitions: Definitions) throws(Refusal) -> Definitions {
        var result = definitions
        var written: Set<PolicyName> = []
        for item in items {
            try result.apply(item.document.statement)
            if case .policy(let policy) = item.document.statement { written.insert(policy.name) }
        }
        try result.check(written: written, people: Set(statements.chain.admins.keys))
        return result
    }

    /// What it changes of the map, beside the sessions that it ends.
    var mapChanges: [MapChange] {
        [.admins(statements.chain.links.map(\.envelope))]
            + items.compactMap { MapContents.change(by: .init(document: $0.document, envelope: $0.envelope)) }
    }
}

extension AdminChainError {
    fileprivate var refusalKind: Refusal.Kind {
        switch self {
        case .untrusted(.tooLarge), .noRoot, .notAboutAdmins: .invalid
        case .untrusted: .forbidden
        case .notAfterTheLast, .exists, .former, .keyTaken, .last, .tooLong: .conflict
        case .unknown: .missing
        }
    }
}
