package import CoordinationAPI
package import Crypto
package import Mesh

/// A change whose signatures hold: what is left is whether the registry can take it.
package struct Change: Sendable {
    package struct Item: Sendable {
        package let envelope: Envelope
        package let statement: Statement
        /// By which the same document is known again, whatever signatures it bears.
        package let digest: String
    }

    package let items: [Item]

    package init(
        _ request: ChangeRequest, admins: [P256.Signing.PublicKey], mesh: MeshDomain, now: Timestamp
    ) throws(Refusal) {
        guard (1...ChangeRequest.maximumDocuments).contains(request.documents.count) else {
            throw .invalid("a change has 1 to \(ChangeRequest.maximumDocuments) documents")
        }
        var items: [Item] = []
        for (index, envelope) in request.documents.enumerated() {
            do {
                let document = try envelope.document(signedByOneOf: admins, of: mesh)
                try Freshness.check(document.madeAt, now: now)
                items.append(
                    Item(envelope: envelope, statement: document.statement, digest: Self.digest(of: envelope)))
            } catch let error as Refusal { throw .invalid("document \(index + 1) is refused: \(error)") } catch {
                throw .forbidden("document \(index + 1) is refused: \(error)")
            }
        }
        guard Set(items.map(\.digest)).count == items.count else {
            throw .conflict("a document comes twice in the change")
        }
        self.items = items
    }

    /// Over the text alone: signatures can be written in more than one way.
    static func digest(of envelope: Envelope) -> String { hex(SHA256.hash(data: Array(envelope.document.utf8))) }

    /// The definitions after the change: all of it, or nothing.
    package func applied(to definitions: Definitions) throws(Refusal) -> Definitions {
        var result = definitions
        var written: Set<PolicyName> = []
        for item in items {
            try result.apply(item.statement)
            if case .policy(let policy) = item.statement { written.insert(policy.name) }
        }
        try result.check(written: written)
        return result
    }
}
