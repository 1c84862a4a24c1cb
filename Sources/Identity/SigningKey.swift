package import Crypto

/// A private key of P-256, for TLS and for signing documents. It prints as `redacted`.
package struct SigningKey: Sendable, CustomStringConvertible, CustomReflectable {
    package let privateKey: P256.Signing.PrivateKey

    /// A new key.
    package init() { privateKey = P256.Signing.PrivateKey() }

    /// Reads a key from PEM (PKCS #8 or SEC 1).
    package init(pem: String) throws(IdentityError) {
        guard pem.utf8.count <= EncodedCertificate.maximumLength,
            let key = try? P256.Signing.PrivateKey(pemRepresentation: pem)
        else { throw .unreadable("the private key", because: "it is not a P-256 key in PEM") }
        privateKey = key
    }

    package var publicKey: P256.Signing.PublicKey { privateKey.publicKey }

    /// The secret itself, in PEM (PKCS #8): for a file of mode 0600 and for TLS, nothing else.
    package var pem: String { privateKey.pemRepresentation }

    package var description: String { "redacted" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}
