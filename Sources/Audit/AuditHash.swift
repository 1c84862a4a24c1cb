import Crypto

/// A SHA-256, written as 64 lower-case hexadecimal digits.
package struct AuditHash: Hashable, Sendable, CustomStringConvertible {
    package let bytes: [UInt8]

    package static let length = 32
    /// What stands before the first of a chain.
    package static let none = AuditHash(unchecked: [UInt8](repeating: 0, count: length))

    private init(unchecked bytes: [UInt8]) { self.bytes = bytes }

    package init(of bytes: some Sequence<UInt8>) { self.init(unchecked: Array(SHA256.hash(data: Array(bytes)))) }

    /// Of something that stands behind something else: neither can be changed without the hash.
    package init(of bytes: [UInt8], behind previous: AuditHash) {
        var hash = SHA256()
        hash.update(data: previous.bytes)
        hash.update(data: bytes)
        self.init(unchecked: Array(hash.finalize()))
    }

    /// Nil for what is not exactly as we write it, capitals included.
    package init?(hex digits: some Collection<UInt8>) {
        guard digits.count == 2 * Self.length else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.length)
        var high: UInt8?
        for digit in digits {
            guard let value = Self.value(digit) else { return nil }
            if let first = high {
                bytes.append(first << 4 | value)
                high = nil
            } else {
                high = value
            }
        }
        self.init(unchecked: bytes)
    }

    package var hexDigits: [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(2 * Self.length)
        for byte in bytes { result += [Self.digit(byte >> 4), Self.digit(byte & 15)] }
        return result
    }

    package var description: String { String(decoding: hexDigits, as: UTF8.self) }

    private static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
    }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}

extension AuditHash: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let hash = AuditHash(hex: try container.decode(String.self).utf8) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "a hash is 64 lower-case hexadecimal digits")
        }
        self = hash
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
