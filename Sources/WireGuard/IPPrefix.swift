package import Mesh

/// A network of IPv4 or IPv6 addresses: what a peer may speak for, and where a route leads.
///
/// Bits behind the prefix are always zero, as the kernel and WireGuard keep them.
package struct IPPrefix: Hashable, Sendable, CustomStringConvertible {
    package enum Address: Hashable, Sendable {
        case v4(IPv4Address)
        case v6(IPv6Address)
    }

    package let address: Address
    package let length: Int

    /// A network, or the one host when no length is given; nil for a length beyond 32.
    package init?(_ address: IPv4Address, length: Int = 32) {
        guard (0...32).contains(length) else { return nil }
        let mask = length == 0 ? 0 : UInt32.max << UInt32(32 - length)
        self.address = .v4(IPv4Address(rawValue: address.rawValue & mask))
        self.length = length
    }

    /// A network, or the one host when no length is given; nil for a length beyond 128.
    package init?(_ address: IPv6Address, length: Int = 128) {
        guard (0...128).contains(length) else { return nil }
        self.address = .v6(
            IPv6Address(high: address.high & mask(length), low: address.low & mask(length - 64)))
        self.length = length
    }

    /// One IPv4 address, as a /32.
    package static func host(_ address: IPv4Address) -> IPPrefix { IPPrefix(.v4(address), 32) }

    /// One IPv6 address, as a /128.
    package static func host(_ address: IPv6Address) -> IPPrefix { IPPrefix(.v6(address), 128) }

    private init(_ address: Address, _ length: Int) { (self.address, self.length) = (address, length) }

    /// Whether any address is in both.
    package func overlaps(_ other: IPPrefix) -> Bool {
        let shared = min(length, other.length)
        switch (address, other.address) {
        case (.v4(let left), .v4(let right)):
            return IPPrefix(left, length: shared) == IPPrefix(right, length: shared)
        case (.v6(let left), .v6(let right)):
            return IPPrefix(left, length: shared) == IPPrefix(right, length: shared)
        default: return false
        }
    }

    package var description: String {
        switch address {
        case .v4(let address): "\(address)/\(length)"
        case .v6(let address): "\(address)/\(length)"
        }
    }
}

extension IPPrefix {
    /// `10.0.0.0/14` or `fd00::/64`; bits behind the prefix are cleared.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let length = decimal(parts[1], as: UInt8.self).map(Int.init) else { return nil }
        let address = String(parts[0])
        if let v4 = IPv4Address(address) {
            self.init(v4, length: length)
        } else if let v6 = ipv6(address) {
            self.init(v6, length: length)
        } else {
            return nil
        }
    }

    /// A network of addresses in network byte order: 4 bytes of IPv4, 16 of IPv6.
    init?(bytes: [UInt8], length: Int) {
        switch bytes.count {
        case 4: self.init(IPv4Address(rawValue: bytes.reduce(0) { $0 << 8 | UInt32($1) }), length: length)
        case 16: self.init(ipv6(bytes: bytes), length: length)
        default: return nil
        }
    }

    /// In network byte order.
    var bytes: [UInt8] {
        switch address {
        case .v4(let address): address.bytes
        case .v6(let address): address.bytes
        }
    }
}

private func mask(_ length: Int) -> UInt64 {
    length <= 0 ? 0 : UInt64.max << UInt64(max(0, 64 - length))
}

private func ipv6(bytes: [UInt8]) -> IPv6Address {
    IPv6Address(
        high: bytes[..<8].reduce(0) { $0 << 8 | UInt64($1) }, low: bytes[8...].reduce(0) { $0 << 8 | UInt64($1) })
}

/// The text of RFC 4291 §2.2, without the mixed form that ends in dotted IPv4.
private func ipv6(_ text: String) -> IPv6Address? {
    let halves = text.split(separator: "::", omittingEmptySubsequences: false).map { half in
        half.isEmpty ? [] : half.split(separator: ":", omittingEmptySubsequences: false)
    }
    guard let head = halves.first, halves.count <= 2 else { return nil }
    let tail = halves.count == 2 ? halves[1] : []
    let missing = 8 - head.count - tail.count
    guard halves.count == 2 ? missing >= 1 : missing == 0 else { return nil }
    let groups = head + Array(repeating: "0", count: missing) + tail
    let values = groups.compactMap { group in
        (1...4).contains(group.utf8.count) && group.utf8.first != UInt8(ascii: "+") ? UInt16(group, radix: 16) : nil
    }
    guard values.count == 8 else { return nil }
    return IPv6Address(
        high: values[..<4].reduce(0) { $0 << 16 | UInt64($1) }, low: values[4...].reduce(0) { $0 << 16 | UInt64($1) })
}

/// A number in plain digits: no sign, no space, nothing that overflows.
func decimal<Number: FixedWidthInteger>(_ text: some StringProtocol, as type: Number.Type) -> Number? {
    guard text.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
    return Number(text)
}
