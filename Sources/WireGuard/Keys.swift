import Crypto
package import Mesh

extension WireGuardPrivateKey {
    /// A fresh key from the system's random source.
    package static func generate() -> WireGuardPrivateKey {
        WireGuardPrivateKey(of: Curve25519.KeyAgreement.PrivateKey())
    }

    /// The key that peers know this one by (RFC 7748 §5).
    package var publicKey: WireGuardPublicKey {
        guard let key = try? Curve25519.KeyAgreement.PrivateKey(rawRepresentation: bytes),
            let result = WireGuardPublicKey(bytes: Array(key.publicKey.rawRepresentation))
        else { preconditionFailure("any 32 bytes are a key of Curve25519") }
        return result
    }

    private init(of key: Curve25519.KeyAgreement.PrivateKey) {
        guard let result = WireGuardPrivateKey(bytes: Array(key.rawRepresentation)) else {
            preconditionFailure("a key of Curve25519 has 32 bytes")
        }
        self = result
    }
}
