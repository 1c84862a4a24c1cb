package import Crypto
package import Mesh
@_spi(FixedExpiryValidationTime) import X509

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The certificate of a mesh's CA: what everybody in it trusts.
///
/// It signs leaves directly; a certificate between is never accepted.
package struct TrustAnchor: Hashable, Sendable {
    package let mesh: MeshDomain
    package let certificate: EncodedCertificate

    /// Of the CA's own key, which signs certificates, and what the coordinator says of its registry.
    package var publicKey: P256.Signing.PublicKey {
        guard let key = P256.Signing.PublicKey(certificate.parsed.publicKey) else {
            preconditionFailure("the key was of P-256 when this value was made")
        }
        return key
    }

    /// What a certificate is shown for: a key for one side of TLS never serves on the other.
    package enum Purpose: Sendable { case client, server }

    /// Takes a CA certificate. Whether it is the right one, its fingerprint says.
    package init(_ certificate: EncodedCertificate) throws(IdentityError) {
        let ca = certificate.parsed
        guard case .isCertificateAuthority = try? ca.extensions.basicConstraints,
            ca.publicKey.isValidSignature(ca.signature, for: ca), ca.issuer == ca.subject
        else { throw .unreadable("the CA certificate", because: "it is not a self-signed CA") }
        guard P256.Signing.PublicKey(ca.publicKey) != nil else {
            throw .unreadable("the CA certificate", because: "its key is not of P-256")
        }
        guard let uri = onlyURI(of: ca), uri.hasPrefix(SPIFFEID.scheme),
            let mesh = try? MeshDomain(String(uri.dropFirst(SPIFFEID.scheme.count)))
        else { throw .unreadable("the CA certificate", because: "it names no mesh") }
        (self.mesh, self.certificate) = (mesh, certificate)
    }

    /// Who a certificate speaks for, if this CA issued it for `purpose` and it is valid at `now`.
    package func verify(
        _ leaf: EncodedCertificate, for purpose: Purpose, at now: Timestamp
    ) async throws(IdentityError) -> VerifiedCertificate {
        var verifier = Verifier(rootCertificates: CertificateStore([certificate.parsed])) {
            RFC5280Policy(fixedExpiryValidationTime: Date(now))
        }
        switch await verifier.validate(leaf: leaf.parsed, intermediates: CertificateStore()) {
        case .validCertificate: return try read(leaf, for: purpose)
        case .couldNotValidate(let failures):
            throw .untrusted(
                failures.first.map { "\($0.policyFailureReason)" } ?? "this mesh's CA did not issue it")
        }
    }

    /// The rules for leaves that RFC 5280 leaves open (X509-SVID §4, §5).
    private func read(
        _ leaf: EncodedCertificate, for purpose: Purpose
    ) throws(IdentityError) -> VerifiedCertificate {
        let extensions = leaf.parsed.extensions
        guard case .notCertificateAuthority = try? extensions.basicConstraints else {
            throw .untrusted("it is, or may be, the certificate of a CA")
        }
        guard let usage = try? extensions.keyUsage, usage.digitalSignature, !usage.keyCertSign, !usage.cRLSign else {
            throw .untrusted("its key is not for signatures alone")
        }
        guard let purposes = try? extensions.extendedKeyUsage, Array(purposes) == [purpose.usage] else {
            throw .untrusted("it is not for this side of a connection")
        }
        guard let uri = onlyURI(of: leaf.parsed) else { throw .untrusted("it does not bear exactly one identity") }
        guard let key = P256.Signing.PublicKey(leaf.parsed.publicKey) else {
            throw .untrusted("its key is not of P-256")
        }
        let id = try SPIFFEID(uri)
        guard id.mesh == mesh else { throw .untrusted("it is of another mesh, `\(id.mesh)`") }
        guard (id.role == .coordinator) == (purpose == .server) else {
            throw .untrusted("`\(id)` does not stand on this side of a connection")
        }
        return VerifiedCertificate(
            id: id, publicKey: key, begins: Timestamp(leaf.parsed.notValidBefore),
            expires: Timestamp(leaf.parsed.notValidAfter), encoded: leaf)
    }
}

/// A certificate that the mesh's CA issued and that was valid when it was looked at.
package struct VerifiedCertificate: Sendable {
    package let id: SPIFFEID
    package let publicKey: P256.Signing.PublicKey
    package let begins: Timestamp
    package let expires: Timestamp
    package let encoded: EncodedCertificate
}

extension TrustAnchor.Purpose {
    var usage: ExtendedKeyUsage.Usage {
        switch self {
        case .client: .clientAuth
        case .server: .serverAuth
        }
    }
}

func onlyURI(of certificate: Certificate) -> String? {
    guard let names = try? certificate.extensions.subjectAlternativeNames else { return nil }
    let uris = names.compactMap { name in
        if case .uniformResourceIdentifier(let uri) = name { uri } else { nil }
    }
    return uris.count == 1 ? uris[0] : nil
}

extension Date {
    init(_ moment: Timestamp) { self.init(timeIntervalSince1970: Double(moment.rawValue) / 1000) }
}

extension Timestamp {
    init(_ date: Date) { self.init(rawValue: Int64(date.timeIntervalSince1970 * 1000)) }
}
