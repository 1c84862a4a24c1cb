import CoordinationAPI
import Crypto
import Mesh
import Testing

/// The proof that a node holds its WireGuard key.
@Suite struct PossessionTests {
    private let device = Curve25519.KeyAgreement.PrivateKey()
    private let ephemeral = Curve25519.KeyAgreement.PrivateKey()
    private let tls = P256.Signing.PrivateKey()
    private let id = [UInt8](repeating: 1, count: 32)
    private let salt = [UInt8](repeating: 2, count: 32)

    @Test func `who holds the key proves it`() throws {
        #expect(try isValid(try proof()))
    }

    @Test func `who holds another key, or another TLS key, does not`() throws {
        #expect(try !isValid(try proof(by: Curve25519.KeyAgreement.PrivateKey())))
        #expect(try !isValid(try proof(tls: P256.Signing.PrivateKey())))
        #expect(try !isValid(try proof(salt: id)))
        let good = try proof()
        for value in ["", "AAAA", good.value + "AAAA", encodeBase64([UInt8](repeating: 0, count: 32))] {
            #expect(try !isValid(PossessionProof(challenge: good.challenge, value: value)))
        }
    }

    @Test func `a point of low order proves nothing, on either side`() throws {
        let zero = try #require(WireGuardPublicKey(bytes: [UInt8](repeating: 0, count: 32)))
        let challenge = Challenge(id: try nonce(id), key: zero, nonce: try nonce(salt))
        let key = try #require(WireGuardPrivateKey(bytes: Array(device.rawRepresentation)))
        #expect(Possession.proof(of: key, for: challenge, tlsKey: tls.publicKey) == nil)
        // What anybody could make, who knows that the secret is zero.
        let secret = SymmetricKey(data: [UInt8](repeating: 0, count: 32))
        let derived = HKDF<SHA256>.deriveKey(
            inputKeyMaterial: secret, salt: salt, info: Array("postern wireguard possession v1".utf8),
            outputByteCount: 32)
        let code = HMAC<SHA256>.authenticationCode(for: Array(tls.publicKey.derRepresentation), using: derived)
        let forged = PossessionProof(challenge: try nonce(id), value: encodeBase64(Array(code)))
        #expect(
            !Possession.isValid(
                forged, of: zero, ephemeral: ephemeral, nonce: try nonce(salt), tlsKey: tls.publicKey))
    }

    private func proof(
        by key: Curve25519.KeyAgreement.PrivateKey? = nil, tls: P256.Signing.PrivateKey? = nil, salt: [UInt8]? = nil
    ) throws -> PossessionProof {
        let challenge = Challenge(
            id: try nonce(id), key: try publicKey(ephemeral), nonce: try nonce(salt ?? self.salt))
        let key = try #require(WireGuardPrivateKey(bytes: Array((key ?? device).rawRepresentation)))
        return try #require(Possession.proof(of: key, for: challenge, tlsKey: (tls ?? self.tls).publicKey))
    }

    private func isValid(_ proof: PossessionProof) throws -> Bool {
        Possession.isValid(
            proof, of: try publicKey(device), ephemeral: ephemeral, nonce: try nonce(salt), tlsKey: tls.publicKey)
    }

    private func publicKey(_ key: Curve25519.KeyAgreement.PrivateKey) throws -> WireGuardPublicKey {
        try #require(WireGuardPublicKey(bytes: Array(key.publicKey.rawRepresentation)))
    }

    private func nonce(_ bytes: [UInt8]) throws -> Challenge.Nonce { try #require(Challenge.Nonce(bytes: bytes)) }
}
