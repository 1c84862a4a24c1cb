package import Mesh

/// A network of IPv4 or IPv6 addresses: what a peer may speak for, and where a route leads.
///
/// Bits behind the prefix are always zero, as the kernel and WireGuard keep them.
package struct IPPrefix: Hashable, Sendable, CustomStringConvertible {
    package let address: IPAddress
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

    private init(_ address: IPAddress, _ length: Int) { (self.address, self.length) = (address, length) }

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

    package var description: String { "\(address)/\(length)" }
}

extension IPPrefix {
    /// `10.0.0.0/14` or `fd00::/64`; bits behind the prefix are cleared.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let length = decimal(parts[1], as: UInt8.self).map(Int.init) else { return nil }
        guard let address = IPAddress(String(parts[0])) else { return nil }
        self.init(address, length: length)
    }

    /// Nil for a length beyond that of the address.
    package init?(_ address: IPAddress, length: Int) {
        switch address {
        case .v4(let address): self.init(address, length: length)
        case .v6(let address): self.init(address, length: length)
        }
    }

    /// A network of addresses in network byte order: 4 bytes of IPv4, 16 of IPv6.
    init?(bytes: [UInt8], length: Int) {
        guard let address = IPAddress(bytes: bytes) else { return nil }
        self.init(address, length: length)
    }

    /// In network byte order.
    var bytes: [UInt8] { address.bytes }
}

private func mask(_ length: Int) -> UInt64 {
    length <= 0 ? 0 : UInt64.max << UInt64(max(0, 64 - length))
}

/// A number in plain digits: no sign, no space, nothing that overflows.
func decimal<Number: FixedWidthInteger>(_ text: some StringProtocol, as type: Number.Type) -> Number? {
    guard text.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
    return Number(text)
}
