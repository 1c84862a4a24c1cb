package import Crypto
import Mesh
import SwiftASN1
import X509

/// A request to certify a key, whose signature proves that the one who asks holds it (RFC 2986).
///
/// Only the key is taken from it: names and extensions are what the CA says they are.
package struct CertificateRequest: Sendable {
    package let publicKey: P256.Signing.PublicKey

    /// Reads a request in PEM and checks its signature.
    package init(verifying pem: String) throws(IdentityError) {
        guard pem.utf8.count <= EncodedCertificate.maximumLength,
            let request = try? CertificateSigningRequest(pemEncoded: pem)
        else { throw .unreadable("the certificate request", because: "it is not a PKCS #10 request in PEM") }
        guard let key = P256.Signing.PublicKey(request.publicKey) else {
            throw .unreadable("the certificate request", because: "its key is not of P-256")
        }
        guard request.publicKey.isValidSignature(request.signature, for: request) else {
            throw .unreadable("the certificate request", because: "its signature was not made with its key")
        }
        publicKey = key
    }

    /// Makes a request in PEM for the key.
    package static func make(with key: SigningKey, for id: SPIFFEID) throws(IdentityError) -> String {
        do {
            let request = try CertificateSigningRequest(
                version: .v1,
                subject: DistinguishedName { CommonName(id.commonName) },
                privateKey: .init(key.privateKey),
                attributes: .init(),
                signatureAlgorithm: .ecdsaWithSHA256)
            return try request.serializeAsPEM().pemString + "\n"
        } catch { throw .cannotIssue("`\(id)`", because: "\(error)") }
    }
}
