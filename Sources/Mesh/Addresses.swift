/// An IPv4 address; `rawValue` is in host byte order.
package struct IPv4Address: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var value: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.utf8.count), part.utf8.allSatisfy({ (48...57).contains($0) }),
                part == "0" || part.first != "0", let byte = UInt8(part)
            else { return nil }
            value = value << 8 | UInt32(byte)
        }
        rawValue = value
    }

    package var description: String {
        (0..<4).map { String(rawValue >> (24 - 8 * $0) & 0xff) }.joined(separator: ".")
    }
    package var bytes: [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: rawValue >> (24 - 8 * $0)) } }
    package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

/// An IPv6 address in two halves, each in host byte order.
package struct IPv6Address: Hashable, Sendable, CustomStringConvertible {
    package let high: UInt64
    package let low: UInt64
    package init(high: UInt64, low: UInt64) { (self.high, self.low) = (high, low) }

    package var bytes: [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: high >> (56 - 8 * $0)) }
            + (0..<8).map { UInt8(truncatingIfNeeded: low >> (56 - 8 * $0)) }
    }

    /// The text of RFC 5952 §4: lower case, the first longest run of two zero groups or more as `::`.
    package var description: String {
        let groups =
            (0..<4).map { UInt16(truncatingIfNeeded: high >> (48 - 16 * $0)) }
            + (0..<4).map { UInt16(truncatingIfNeeded: low >> (48 - 16 * $0)) }
        let text = groups.map { String($0, radix: 16) }
        guard let run = longestZeroRun(in: groups) else { return text.joined(separator: ":") }
        return text[..<run.lowerBound].joined(separator: ":") + "::" + text[run.upperBound...].joined(separator: ":")
    }

    private func longestZeroRun(in groups: [UInt16]) -> Range<Int>? {
        var best: Range<Int>?
        var start: Int?
        for index in 0...groups.count {
            if index < groups.count, groups[index] == 0 {
                start = start ?? index
            } else if let first = start {
                if index - first >= 2, index - first > (best?.count ?? 1) { best = first..<index }
                start = nil
            }
        }
        return best
    }
}

/// A TCP or UDP port, never zero.
package struct Port: RawRepresentable, Hashable, Comparable, Codable, Sendable, CustomStringConvertible {
    package let rawValue: UInt16
    package init?(rawValue: UInt16) {
        guard rawValue != 0 else { return nil }
        self.rawValue = rawValue
    }
    package init?(_ text: String) {
        guard let value = UInt16(text), value != 0 else { return nil }
        rawValue = value
    }
    package var description: String { String(rawValue) }
    package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

/// What stands above IP; the raw value is the protocol number.
package enum TransportProtocol: UInt8, Codable, Sendable {
    case tcp = 6
    case udp = 17
}

/// Where a WireGuard socket answers on the underlay: `192.0.2.1:51820`.
package struct Endpoint: Hashable, Codable, Sendable, CustomStringConvertible {
    package let address: IPv4Address
    package let port: Port

    package init(address: IPv4Address, port: Port) { (self.address, self.port) = (address, port) }

    package init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPv4Address(String(parts[0])), let port = Port(String(parts[1])) else {
            return nil
        }
        self.init(address: address, port: port)
    }

    package var description: String { "\(address):\(port)" }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let endpoint = Endpoint(text) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "`\(text.prefix(80))` is not ADDRESS:PORT")
        }
        self = endpoint
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
