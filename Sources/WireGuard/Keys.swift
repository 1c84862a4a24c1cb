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

/// A key that two peers share besides their own, mixed into every handshake. It prints as `redacted`.
package struct PresharedKey: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
    package let bytes: [UInt8]

    /// Thirty-two bytes; all zero is WireGuard's word for none.
    package init?(bytes: [UInt8]) {
        guard bytes.count == 32, bytes.contains(where: { $0 != 0 }) else { return nil }
        self.bytes = bytes
    }

    private init() { bytes = Array(repeating: 0, count: 32) }

    /// What takes a key away.
    static let none = PresharedKey()

    package static func generate() -> PresharedKey {
        let fresh = SymmetricKey(size: .bits256)
        guard let key = unsafe PresharedKey(bytes: fresh.withUnsafeBytes { unsafe Array($0) }) else {
            preconditionFailure("256 random bits are not all zero")
        }
        return key
    }

    package var description: String { "redacted" }
    package var customMirror: Mirror { Mirror(self, children: []) }

    package static func == (left: Self, right: Self) -> Bool {
        zip(left.bytes, right.bytes).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
    }
}
