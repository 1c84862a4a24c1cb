package import Crypto
package import Mesh

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The proof that a node holds the private key of its WireGuard device.
///
///     node -> coordinator   ChallengeRequest   the WireGuard public key
///     coordinator -> node   Challenge          an ephemeral X25519 public key and a nonce, good for 60 s, once
///     node -> coordinator   PossessionProof    HMAC-SHA256 over the DER of the node's TLS public key
///
/// The HMAC's key is HKDF-SHA256(X25519(WireGuard private, ephemeral public), salt: nonce, info: "postern wireguard
/// possession v1"), which nobody but the two can make. The TLS key in it ties the proof to who shows it.
package enum Possession {
    private static let info = Array("postern wireguard possession v1".utf8)

    /// The node's side. Nil when the coordinator's key has no shared secret with any other.
    package static func proof(
        of key: WireGuardPrivateKey, for challenge: Challenge, tlsKey: P256.Signing.PublicKey
    ) -> PossessionProof? {
        guard let own = try? Curve25519.KeyAgreement.PrivateKey(rawRepresentation: key.bytes),
            let secret = hmacKey(own, challenge.key, challenge.nonce)
        else { return nil }
        let code = HMAC<SHA256>.authenticationCode(for: Array(tlsKey.derRepresentation), using: secret)
        return PossessionProof(challenge: challenge.id, value: encodeBase64(Array(code)))
    }

    /// The coordinator's side.
    package static func isValid(
        _ proof: PossessionProof, of key: WireGuardPublicKey, ephemeral: Curve25519.KeyAgreement.PrivateKey,
        nonce: Challenge.Nonce, tlsKey: P256.Signing.PublicKey
    ) -> Bool {
        guard let code = decodeBase64(proof.value), code.count == SHA256.byteCount,
            let secret = hmacKey(ephemeral, key, nonce)
        else { return false }
        return HMAC<SHA256>.isValidAuthenticationCode(
            code, authenticating: Array(tlsKey.derRepresentation), using: secret)
    }

    private static func hmacKey(
        _ own: Curve25519.KeyAgreement.PrivateKey, _ other: WireGuardPublicKey, _ nonce: Challenge.Nonce
    ) -> SymmetricKey? {
        guard let point = try? Curve25519.KeyAgreement.PublicKey(rawRepresentation: other.bytes),
            let secret = try? own.sharedSecretFromKeyAgreement(with: point),
            // Zero with a point of low order (RFC 7748 §6.1): then anybody could make the proof.
            unsafe secret.withUnsafeBytes({ bytes in unsafe bytes.contains { $0 != 0 } })
        else { return nil }
        return secret.hkdfDerivedSymmetricKey(
            using: SHA256.self, salt: nonce.bytes, sharedInfo: info, outputByteCount: 32)
    }
}

/// A node asks to prove that a WireGuard key is its own.
package struct ChallengeRequest: Codable, Sendable {
    package let key: WireGuardPublicKey
    package init(key: WireGuardPublicKey) { self.key = key }
}

/// What the node must answer.
package struct Challenge: Codable, Equatable, Sendable {
    package let id: Nonce
    /// Ephemeral, of X25519.
    package let key: WireGuardPublicKey
    package let nonce: Nonce

    package static let lifetime = Duration.seconds(60)

    /// 256 random bits, in hexadecimal.
    package struct Nonce: Hashable, Sendable {
        package let bytes: [UInt8]
        package init?(bytes: [UInt8]) {
            guard bytes.count == 32 else { return nil }
            self.bytes = bytes
        }
    }

    package init(id: Nonce, key: WireGuardPublicKey, nonce: Nonce) {
        (self.id, self.key, self.nonce) = (id, key, nonce)
    }
}

/// The answer to a challenge.
package struct PossessionProof: Codable, Equatable, Sendable {
    package let challenge: Challenge.Nonce
    /// The HMAC, in base64.
    package let value: String

    package init(challenge: Challenge.Nonce, value: String) { (self.challenge, self.value) = (challenge, value) }
}

extension Challenge.Nonce: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let bytes = Mesh.bytes(hex: try container.decode(String.self)), let nonce = Self(bytes: bytes) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "it is not 64 hexadecimal digits")
        }
        self = nonce
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(hex(bytes))
    }
}
