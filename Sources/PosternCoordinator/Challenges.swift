package import CoordinationAPI
package import Crypto
package import Mesh
import Synchronization

/// The challenges that are open: by each a node proves once, and soon, that a WireGuard key is its own.
package final class Challenges: Sendable {
    private struct Open {
        let key: WireGuardPublicKey
        let ephemeral: Curve25519.KeyAgreement.PrivateKey
        let nonce: Challenge.Nonce
        let until: Timestamp
    }

    private let open = Mutex<[Challenge.Nonce: Open]>([:])

    /// Anybody may ask for one, so there is an end to them.
    package static let maximum = 4096

    package init() {}

    package func make(for key: WireGuardPublicKey, now: Timestamp) throws(Refusal) -> Challenge {
        try PeerRules.check(key)
        let ephemeral = Curve25519.KeyAgreement.PrivateKey()
        guard let id = Self.random(), let nonce = Self.random(),
            let point = WireGuardPublicKey(bytes: Array(ephemeral.publicKey.rawRepresentation))
        else { throw Refusal(.internal, "the coordinator has no random numbers") }
        let entry = Open(key: key, ephemeral: ephemeral, nonce: nonce, until: now + Challenge.lifetime)
        let isFull = open.withLock { open in
            if open.count >= Self.maximum { open = open.filter { $0.value.until > now } }
            guard open.count < Self.maximum else { return true }
            open[id] = entry
            return false
        }
        guard !isFull else { throw Refusal(.busy, "too many challenges are open: try again in a minute") }
        return Challenge(id: id, key: point, nonce: nonce)
    }

    /// Uses a challenge up, whether the proof holds or not.
    package func check(
        _ proof: PossessionProof, of key: WireGuardPublicKey, tlsKey: P256.Signing.PublicKey, now: Timestamp
    ) throws(Refusal) {
        guard let entry = open.withLock({ $0.removeValue(forKey: proof.challenge) }), now < entry.until,
            entry.key == key
        else { throw .invalid("there is no such challenge for the WireGuard key, or it was used or is too old") }
        guard Possession.isValid(proof, of: key, ephemeral: entry.ephemeral, nonce: entry.nonce, tlsKey: tlsKey) else {
            throw .invalid("the proof does not show that the WireGuard key `\(key)` is held")
        }
    }

    private static func random() -> Challenge.Nonce? {
        var generator = SystemRandomNumberGenerator()
        return Challenge.Nonce(bytes: (0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) })
    }
}
