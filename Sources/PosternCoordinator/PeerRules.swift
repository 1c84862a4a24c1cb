import Crypto
import Mesh

/// What a WireGuard peer must be before anybody is told to talk to it.
enum PeerRules {
    static func check(_ key: WireGuardPublicKey) throws(Refusal) {
        guard isCanonical(key.bytes) else {
            throw .invalid("the WireGuard key `\(key)` is not in its one encoding")
        }
        // With a point of low order every shared secret is zero, whoever is on the other side (RFC 7748 §6.1).
        // The library gives that secret like any other.
        guard let point = try? Curve25519.KeyAgreement.PublicKey(rawRepresentation: key.bytes),
            let secret = try? Curve25519.KeyAgreement.PrivateKey().sharedSecretFromKeyAgreement(with: point),
            unsafe secret.withUnsafeBytes({ bytes in unsafe bytes.contains { $0 != 0 } })
        else { throw .invalid("the WireGuard key `\(key)` is a point of low order") }
    }

    /// X25519 ignores the top bit and reduces modulo 2^255 - 19: another encoding would be a second name of one key.
    private static func isCanonical(_ bytes: [UInt8]) -> Bool {
        guard bytes.count == 32, bytes[31] <= 0x7f else { return false }
        return !(bytes[31] == 0x7f && bytes[1..<31].allSatisfy { $0 == 0xff } && bytes[0] >= 0xed)
    }

    static func check(_ endpoint: Endpoint, pool: AddressPool) throws(Refusal) {
        guard !pool.contains(endpoint.address) else {
            throw .invalid(
                "the endpoint `\(endpoint)` is inside the mesh's own pool \(pool.v4Text), \(pool.v6Text)")
        }
        guard isReachable(endpoint.address) else {
            throw .invalid("nobody else can reach the endpoint `\(endpoint)`: give an address of the network between")
        }
    }

    /// Whether other machines can send there at all.
    private static func isReachable(_ address: IPAddress) -> Bool {
        switch address {
        case .v4(let address):
            switch address.rawValue >> 24 {
            case 0, 127, 224...255: false
            default: true
            }
        case .v6(let address):
            // ::/8 holds the loopback, the unspecified address and IPv4 in disguise; fe80::/10 means another
            // machine on each link; ff00::/8 is multicast.
            address.high >> 56 != 0 && address.high >> 56 != 0xff && address.high >> 54 != 0xfe80 >> 6
        }
    }
}

extension AddressPool {
    fileprivate func contains(_ address: IPAddress) -> Bool {
        switch address {
        case .v4(let address): contains(address)
        case .v6(let address): contains(address)
        }
    }
}

/// How far the moment at which a document was made may be from the moment at which it arrives.
enum Freshness {
    static let tolerance = Duration.seconds(600)

    static func check(_ madeAt: Timestamp, now: Timestamp) throws(Refusal) {
        let age = now - madeAt
        guard age <= tolerance, age >= .zero - tolerance else {
            throw .invalid("the document was made at \(madeAt), more than ten minutes from \(now): check the clocks")
        }
    }
}
