package import Crypto
package import Mesh
import SwiftASN1
import X509

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The mesh's CA: the one place that says which key is whose.
///
/// Its key is kept in a file of its own, never in a database.
package struct CertificateAuthority: Sendable {
    package let anchor: TrustAnchor
    package let key: SigningKey

    package var mesh: MeshDomain { anchor.mesh }

    /// How long certificates live.
    package enum Lifetime {
        package static let authority = Duration.seconds(3650 * 86_400)
        package static let node = Duration.seconds(30 * 86_400)
        package static let admin = Duration.seconds(365 * 86_400)
        package static let server = Duration.seconds(90 * 86_400)
        /// So much earlier than it is issued does a certificate begin, for clocks that are behind.
        static let backdating = Duration.seconds(-300)
    }

    /// Makes a new CA for a mesh.
    package init(new mesh: MeshDomain, at now: Timestamp) throws(IdentityError) {
        let key = SigningKey()
        let name = try DistinguishedName.of("Postern CA", in: mesh)
        let uri = GeneralName.uniformResourceIdentifier(SPIFFEID.scheme + mesh.rawValue)
        let certificate = try sign(for: "the CA", from: now, lasting: Lifetime.authority, with: key) {
            try Shape(subject: name, issuer: name, publicKey: key.publicKey) {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                Critical(KeyUsage(keyCertSign: true, cRLSign: true))
                SubjectAlternativeNames([uri])
                SubjectKeyIdentifier(hash: .init(key.publicKey))
            }
        }
        self.key = key
        anchor = try TrustAnchor(certificate)
    }

    /// Takes up a CA from its files.
    package init(certificatePEM: String, keyPEM: String) throws(IdentityError) {
        anchor = try TrustAnchor(EncodedCertificate(pem: certificatePEM))
        key = try SigningKey(pem: keyPEM)
        guard anchor.certificate.parsed.publicKey == Certificate.PublicKey(key.publicKey) else {
            throw .unreadable("the CA", because: "its key does not fit its certificate")
        }
    }

    /// A node's certificate, for the key of a request that was verified.
    package func issueNode(
        _ name: NodeName, request: CertificateRequest, at now: Timestamp, validity: Duration = Lifetime.node
    ) throws(IdentityError) -> EncodedCertificate {
        try issue(.node(name), request.publicKey, purpose: .client, at: now, validity: validity)
    }

    /// An admin's certificate.
    package func issueAdmin(
        _ name: UserName, key: P256.Signing.PublicKey, at now: Timestamp, validity: Duration = Lifetime.admin
    ) throws(IdentityError) -> EncodedCertificate {
        try issue(.admin(name), key, purpose: .client, at: now, validity: validity)
    }

    /// The coordinator's own certificate, for the hosts that its URL names.
    package func issueServer(
        hosts: [ServerHost], key: P256.Signing.PublicKey, at now: Timestamp, validity: Duration = Lifetime.server
    ) throws(IdentityError) -> EncodedCertificate {
        try issue(.coordinator, key, purpose: .server, hosts: hosts, at: now, validity: validity)
    }

    private func issue(
        _ role: SPIFFEID.Role, _ key: P256.Signing.PublicKey, purpose: TrustAnchor.Purpose, hosts: [ServerHost] = [],
        at now: Timestamp, validity: Duration
    ) throws(IdentityError) -> EncodedCertificate {
        let id = SPIFFEID(mesh: mesh, role: role)
        // What would not be read back is not issued.
        guard (try? SPIFFEID(id.description)) == id else {
            throw .cannotIssue("`\(id)`", because: "the name cannot stand in an identity")
        }
        let issuer = anchor.certificate.parsed
        return try sign(for: "`\(id)`", from: now, lasting: validity, with: self.key) {
            try Shape(subject: .of(id.commonName, in: mesh), issuer: issuer.subject, publicKey: key) {
                Critical(BasicConstraints.notCertificateAuthority)
                Critical(KeyUsage(digitalSignature: true))
                try ExtendedKeyUsage([purpose.usage])
                SubjectAlternativeNames([.uniformResourceIdentifier(id.description)] + hosts.map(\.generalName))
                AuthorityKeyIdentifier(keyIdentifier: try issuer.extensions.subjectKeyIdentifier?.keyIdentifier)
            }
        }
    }
}

/// What a certificate says, apart from when and by whom.
private struct Shape {
    let subject: DistinguishedName
    let issuer: DistinguishedName
    let publicKey: P256.Signing.PublicKey
    let extensions: Certificate.Extensions

    init(
        subject: DistinguishedName, issuer: DistinguishedName, publicKey: P256.Signing.PublicKey,
        @ExtensionsBuilder extensions: () throws -> Result<Certificate.Extensions, any Error>
    ) throws {
        (self.subject, self.issuer, self.publicKey) = (subject, issuer, publicKey)
        self.extensions = try Certificate.Extensions(builder: extensions)
    }
}

private func sign(
    for whom: String, from now: Timestamp, lasting validity: Duration, with key: SigningKey, _ shape: () throws -> Shape
) throws(IdentityError) -> EncodedCertificate {
    let certificate: Certificate
    do {
        let shape = try shape()
        certificate = try Certificate(
            version: .v3,
            serialNumber: .init(),
            publicKey: .init(shape.publicKey),
            notValidBefore: Date(now + CertificateAuthority.Lifetime.backdating),
            notValidAfter: Date(now + validity),
            issuer: shape.issuer,
            subject: shape.subject,
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: shape.extensions,
            issuerPrivateKey: .init(key.privateKey))
    } catch { throw .cannotIssue(whom, because: "\(error)") }
    return try EncodedCertificate(certificate)
}

extension DistinguishedName {
    /// `O` bears the mesh, so that two meshes' certificates are told apart by eye.
    fileprivate static func of(_ name: String, in mesh: MeshDomain) throws(IdentityError) -> DistinguishedName {
        do {
            return try DistinguishedName {
                OrganizationName(String(mesh.rawValue.prefix(64)))
                CommonName(name)
            }
        } catch { throw .cannotIssue("`\(name)`", because: "\(error)") }
    }
}

extension SPIFFEID {
    /// The name in a certificate's subject: for eyes only. X.520 bounds it to 64 characters.
    var commonName: String {
        let name =
            switch role {
            case .node(let name): name.rawValue
            case .agent(let name): name.rawValue
            case .admin(let name): name.rawValue
            case .coordinator: "coordinator"
            }
        return String(name.prefix(64))
    }
}
