package import CoordinationAPI
package import Crypto
package import Identity
package import Mesh

/// A request to join whose proofs hold; what is left is the registry's say.
package struct JoinClaim: Sendable {
    package let token: TokenDigest
    package let said: NodeSaying
    package let request: CertificateRequest

    package var statement: NodeStatement { said.statement }
    package var envelope: Envelope { said.envelope }

    /// Checks everything that can be checked without the registry: who asks holds the TLS key that signed the
    /// statement, and the statement names a key and places that a peer can have.
    package init(_ join: JoinRequest, mesh: MeshDomain, pool: AddressPool, now: Timestamp) throws(Refusal) {
        token = TokenDigest(of: join.secret)
        do {
            request = try CertificateRequest(verifying: join.request)
        } catch { throw .invalid(error.description) }
        said = try NodeSaying(join.statement, by: [request.publicKey], mesh: mesh, pool: pool, now: now)
    }
}

/// What a node says of itself, if it can be so.
package struct NodeSaying: Sendable {
    package let statement: NodeStatement
    package let madeAt: Timestamp
    package let envelope: Envelope

    /// Each of the keys must have signed it.
    package init(
        _ envelope: Envelope, by keys: [P256.Signing.PublicKey], mesh: MeshDomain, pool: AddressPool, now: Timestamp
    ) throws(Refusal) {
        var document: Document?
        for key in keys {
            do { document = try envelope.document(signedByOneOf: [key], of: mesh) } catch {
                throw .invalid("the node's statement is refused: \(error)")
            }
        }
        guard let document, case .node(let statement) = document.statement else {
            throw .invalid("the signed statement is not one of a node")
        }
        try Freshness.check(document.madeAt, now: now)
        try PeerRules.check(statement.key)
        for endpoint in statement.endpoints { try PeerRules.check(endpoint, pool: pool) }
        (self.statement, self.madeAt, self.envelope) = (statement, document.madeAt, envelope)
    }
}

/// What the registry knows that bears on a request to join.
package struct JoinFacts: Sendable {
    package var token: JoinTokenRecord?
    package var nameTaken: Bool
    package var keyTaken: Bool
    /// The place that the node would get; nil when the pool is full.
    package var free: MeshOffset?

    package init(token: JoinTokenRecord?, nameTaken: Bool, keyTaken: Bool, free: MeshOffset?) {
        (self.token, self.nameTaken, self.keyTaken, self.free) = (token, nameTaken, keyTaken, free)
    }
}

package enum Enrolment {
    /// The place of a node that may join.
    package static func decide(_ claim: JoinClaim, _ facts: JoinFacts, now: Timestamp) throws(Refusal) -> MeshOffset {
        let name = claim.statement.name
        guard let token = facts.token else { throw .unauthenticated("the join token is not known here") }
        guard token.usedAt == nil else { throw .unauthenticated("the join token was used already") }
        guard now < token.expires else { throw .unauthenticated("the join token expired at \(token.expires)") }
        guard token.node == nil || token.node == name else {
            throw .forbidden("the join token is not for a node of the name `\(name)`")
        }
        guard !facts.nameTaken else { throw .conflict("there is a node of the name `\(name)` already") }
        guard !facts.keyTaken else { throw .conflict("the WireGuard key is another peer's") }
        guard let free = facts.free else { throw Refusal(.full, "the mesh has no free address") }
        return free
    }

    /// Whether what a node says of itself may stand in the place of what it said before.
    package static func check(
        _ saying: NodeSaying, after old: NodeRecord, keyTaken: Bool
    ) throws(Refusal) {
        let name = old.statement.name
        guard saying.statement.name == name else {
            throw .forbidden("node `\(name)` cannot speak for node `\(saying.statement.name)`")
        }
        guard saying.madeAt > old.madeAt else {
            throw .conflict("node `\(name)` said something else at \(old.madeAt), which is not before \(saying.madeAt)")
        }
        guard !keyTaken else { throw .conflict("the WireGuard key is another peer's") }
    }
}
