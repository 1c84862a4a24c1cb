package import Mesh

/// POST /v1/node: a node has another WireGuard key, or answers at other places.
package struct NodeRequest: Codable, Sendable {
    /// A ``NodeStatement``, signed with the node's TLS key.
    package let statement: Envelope
    /// Of the WireGuard key, where it is a new one.
    package let proof: PossessionProof?

    package init(statement: Envelope, proof: PossessionProof? = nil) {
        (self.statement, self.proof) = (statement, proof)
    }
}

/// POST /v1/node/certificate: a node's certificate comes to its end.
package struct NodeCertificateRequest: Codable, Sendable {
    /// A certificate signing request in PEM, with the key there is or a new one.
    package let request: String
    /// Where the key is new: the ``NodeStatement``, signed by the old key and by the new one.
    package let statement: Envelope?

    package init(request: String, statement: Envelope? = nil) { (self.request, self.statement) = (request, statement) }
}

/// POST /v1/admin-certificates: an admin asks for a certificate, his own or that of another admin whom he just made.
package struct AdminCertificateRequest: Codable, Sendable {
    package let name: UserName
    /// A certificate signing request in PEM, with the key in that admin's statement.
    package let request: String

    package init(name: UserName, request: String) { (self.name, self.request) = (name, request) }
}

/// What the CA issued, in PEM.
package struct CertificateResponse: Codable, Sendable {
    package let certificate: String
    package init(certificate: String) { self.certificate = certificate }
}

/// GET /v1/statements: every statement of admins that counts, as it was signed.
package struct StatementsResponse: Codable, Sendable {
    package let version: UInt64
    package let statements: [Envelope]
    package init(version: UInt64, statements: [Envelope]) { (self.version, self.statements) = (version, statements) }
}
