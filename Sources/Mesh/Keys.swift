/// A WireGuard public key: 32 bytes of Curve25519, written in base64 as `wg` writes it.
package struct WireGuardPublicKey: Hashable, Sendable, CustomStringConvertible {
    package let bytes: [UInt8]

    package init?(bytes: [UInt8]) {
        guard bytes.count == 32 else { return nil }
        self.bytes = bytes
    }

    package init?(base64 text: String) {
        guard let bytes = decodeBase64(text) else { return nil }
        self.init(bytes: bytes)
    }

    package var description: String { encodeBase64(bytes) }
}

extension WireGuardPublicKey: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let key = WireGuardPublicKey(base64: try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "a WireGuard key is 32 bytes in base64")
        }
        self = key
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// A WireGuard private key. It prints as `redacted`; its bytes go to a device or to a file of mode 0600 only.
package struct WireGuardPrivateKey: Sendable, Equatable, CustomStringConvertible, CustomReflectable {
    package let bytes: [UInt8]

    package init?(bytes: [UInt8]) {
        guard bytes.count == 32 else { return nil }
        self.bytes = bytes
    }

    package var description: String { "redacted" }
    package var customMirror: Mirror { Mirror(self, children: []) }

    package static func == (left: Self, right: Self) -> Bool {
        zip(left.bytes, right.bytes).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
    }
}

private let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

/// Base64 with padding (RFC 4648 §4).
package func encodeBase64(_ bytes: [UInt8]) -> String {
    var text: [UInt8] = []
    for start in stride(from: 0, to: bytes.count, by: 3) {
        let group = bytes[start..<min(start + 3, bytes.count)]
        let word = group.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << (8 * UInt32(3 - group.count))
        for index in 0..<4 {
            text.append(
                index <= group.count ? alphabet[Int(word >> (18 - 6 * UInt32(index)) & 63)] : UInt8(ascii: "="))
        }
    }
    return String(decoding: text, as: UTF8.self)
}

/// The bytes of canonical base64; nil for anything else, non-zero spare bits included.
package func decodeBase64(_ text: String) -> [UInt8]? {
    let digits = Array(text.utf8)
    guard digits.count.isMultiple(of: 4) else { return nil }
    let padding = digits.reversed().prefix { $0 == UInt8(ascii: "=") }.count
    guard padding <= 2 else { return nil }
    var word: UInt32 = 0
    var bytes: [UInt8] = []
    for (index, digit) in digits.dropLast(padding).enumerated() {
        guard let value = alphabet.firstIndex(of: digit) else { return nil }
        word = word << 6 | UInt32(value)
        let bits = (index + 1) * 6 % 8
        if bits != 6 { bytes.append(UInt8(truncatingIfNeeded: word >> UInt32(bits))) }
    }
    let spare = UInt32(digits.count - padding) * 6 % 8
    guard spare == 0 || word & (1 << spare - 1) == 0 else { return nil }
    return bytes
}
