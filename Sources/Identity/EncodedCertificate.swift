package import Crypto
package import Mesh
import SwiftASN1
import X509

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A certificate as it travels: well formed, and believed by nobody yet.
package struct EncodedCertificate: Hashable, Sendable {
    /// A fingerprint is the SHA-256 of this. A signature has several encodings, so who verifies looks at what the
    /// certificate says; who compares bytes may refuse a twin, and never mistakes another for it.
    package let der: [UInt8]
    let parsed: Certificate

    /// Many times what any certificate of a mesh needs; what is longer is refused before it is parsed.
    package static let maximumLength = 16_384

    /// Reads one certificate in PEM, and nothing beside it.
    package init(pem: String) throws(IdentityError) {
        guard pem.utf8.count <= Self.maximumLength, let parsed = try? Certificate(pemEncoded: pem) else {
            throw .unreadable("the certificate", because: "it is not one X.509 certificate in PEM")
        }
        try self.init(parsed)
    }

    /// Reads a certificate in DER.
    package init(der: [UInt8]) throws(IdentityError) {
        guard der.count <= Self.maximumLength, let parsed = try? Certificate(derEncoded: der) else {
            throw .unreadable("the certificate", because: "it is not an X.509 certificate")
        }
        try self.init(parsed)
    }

    init(_ certificate: Certificate) throws(IdentityError) {
        var serializer = DER.Serializer()
        do { try serializer.serialize(certificate) } catch {
            throw .unreadable("the certificate", because: "it cannot be encoded again")
        }
        (parsed, der) = (certificate, serializer.serializedBytes)
    }

    /// The key that it speaks of, whoever issued it.
    package var publicKey: P256.Signing.PublicKey {
        get throws(IdentityError) {
            guard let key = P256.Signing.PublicKey(parsed.publicKey) else {
                throw .unreadable("the certificate", because: "its key is not of P-256")
            }
            return key
        }
    }

    /// Whom it says to be for, whoever issued it.
    package var id: SPIFFEID {
        get throws(IdentityError) {
            guard let uri = onlyURI(of: parsed), let id = try? SPIFFEID(uri) else {
                throw .unreadable("the certificate", because: "it is for nobody of a mesh")
            }
            return id
        }
    }

    /// From when and until when it says to be valid, whoever issued it.
    package var validFrom: Timestamp { Timestamp(parsed.notValidBefore) }
    package var validUntil: Timestamp { Timestamp(parsed.notValidAfter) }

    package var pem: String {
        PEMDocument(type: Certificate.defaultPEMDiscriminator, derBytes: der).pemString + "\n"
    }
}
