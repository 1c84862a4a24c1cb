/// A peer's place in the address pool: the same for its IPv4 and its IPv6 address.
///
/// The classifier's peer table is an array over this number.
package struct MeshOffset: RawRepresentable, Hashable, Comparable, Codable, Sendable, CustomStringConvertible {
    package let rawValue: UInt32

    /// How many addresses a pool has: a /14.
    package static let count: UInt32 = 1 << 18

    /// Offset 0 is the network itself, and the last one its broadcast address: neither is given to a peer.
    package init?(rawValue: UInt32) {
        guard (1..<Self.count - 1).contains(rawValue) else { return nil }
        self.rawValue = rawValue
    }

    package var description: String { String(rawValue) }
    package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

/// The addresses of one mesh: a /14 of 10.0.0.0/8 and a ULA /64 (RFC 4193), one offset serving both.
package struct AddressPool: Hashable, Sendable {
    package let v4Base: IPv4Address
    /// The first 64 bits of every IPv6 address of the mesh.
    package let v6Prefix: UInt64

    package static let v4PrefixLength = 14
    package static let v6PrefixLength = 64

    package init?(v4Base: IPv4Address, v6Prefix: UInt64) {
        guard v4Base.rawValue >> 24 == 10, v4Base.rawValue & (MeshOffset.count - 1) == 0, v6Prefix >> 56 == 0xfd else {
            return nil
        }
        (self.v4Base, self.v6Prefix) = (v4Base, v6Prefix)
    }

    /// A pool chosen when a mesh is made, so that two meshes on one machine seldom collide.
    package static func random(using generator: inout some RandomNumberGenerator) -> AddressPool {
        let block = UInt32.random(in: 0..<64, using: &generator)
        let ula = UInt64.random(in: 0..<1 << 56, using: &generator)
        guard let pool = AddressPool(v4Base: IPv4Address(rawValue: 10 << 24 | block << 18), v6Prefix: 0xfd << 56 | ula)
        else { preconditionFailure("a block below 64 is a /14 of 10.0.0.0/8") }
        return pool
    }

    package func ipv4(at offset: MeshOffset) -> IPv4Address { IPv4Address(rawValue: v4Base.rawValue | offset.rawValue) }
    package func ipv6(at offset: MeshOffset) -> IPv6Address {
        IPv6Address(high: v6Prefix, low: UInt64(offset.rawValue))
    }

    package func offset(of address: IPv4Address) -> MeshOffset? {
        guard contains(address) else { return nil }
        return MeshOffset(rawValue: address.rawValue & (MeshOffset.count - 1))
    }

    package func offset(of address: IPv6Address) -> MeshOffset? {
        guard contains(address) else { return nil }
        return UInt32(exactly: address.low).flatMap { MeshOffset(rawValue: $0) }
    }

    package func contains(_ address: IPv4Address) -> Bool {
        address.rawValue & ~(MeshOffset.count - 1) == v4Base.rawValue
    }

    package func contains(_ address: IPv6Address) -> Bool { address.high == v6Prefix }

    package var v4Text: String { "\(v4Base)/\(Self.v4PrefixLength)" }
    package var v6Text: String { "\(IPv6Address(high: v6Prefix, low: 0))/\(Self.v6PrefixLength)" }
}

extension AddressPool: Codable {
    private enum Key: CodingKey { case v4, v6 }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        let v4 = try container.decode(String.self, forKey: .v4)
        let v6 = try container.decode(String.self, forKey: .v6)
        guard let base = IPv4Address(v4), v6.utf8.count == 16, let prefix = UInt64(v6, radix: 16),
            let pool = AddressPool(v4Base: base, v6Prefix: prefix)
        else {
            throw DecodingError.dataCorruptedError(
                forKey: .v4, in: container, debugDescription: "the pool is not a /14 of 10.0.0.0/8 with a ULA /64")
        }
        self = pool
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(v4Base.description, forKey: .v4)
        try container.encode(hex((0..<8).map { UInt8(truncatingIfNeeded: v6Prefix >> (56 - 8 * $0)) }), forKey: .v6)
    }
}

/// Lower-case hexadecimal digits of some bytes.
package func hex(_ bytes: some Sequence<UInt8>) -> String {
    var text: [UInt8] = []
    text.reserveCapacity(2 * bytes.underestimatedCount)
    for byte in bytes {
        text.append(hexDigits[Int(byte >> 4)])
        text.append(hexDigits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
}

private let hexDigits = Array("0123456789abcdef".utf8)

/// The bytes of hexadecimal digits; nil for anything else.
package func bytes(hex text: String) -> [UInt8]? {
    let digits = Array(text.utf8)
    guard digits.count.isMultiple(of: 2) else { return nil }
    var result: [UInt8] = []
    for index in stride(from: 0, to: digits.count, by: 2) {
        guard let high = hexValue(digits[index]), let low = hexValue(digits[index + 1]) else { return nil }
        result.append(high << 4 | low)
    }
    return result
}

private func hexValue(_ digit: UInt8) -> UInt8? {
    switch digit {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
    default: nil
    }
}
