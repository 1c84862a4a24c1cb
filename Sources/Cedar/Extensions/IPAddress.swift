extension Value {
    /// An IP address, or a range of them: `10.0.0.7`, `10.0.0.0/8`, `fd00::/8`.
    ///
    /// Two are equal only if address and prefix length are: `10.0.0.1/8` is not `10.0.0.0/8`.
    public struct IPAddress: Hashable, Sendable, CustomStringConvertible {
        public enum Family: UInt8, Hashable, Sendable {
            case v4 = 32
            case v6 = 128

            var bits: UInt8 { rawValue }
        }

        public let family: Family
        /// The address as a number; of an IPv4 address in the low 32 bits.
        let address: UInt128
        /// How many of the leading bits name the range.
        public let prefixLength: UInt8

        private static let maximumLength = 43

        public init(_ text: Text) throws(ExtensionError) {
            let bytes = Array(text.string.utf8)
            let parts = bytes.split(separator: UInt8(ascii: "/"), maxSplits: 1, omittingEmptySubsequences: false)
            guard bytes.count <= Self.maximumLength, let (family, address) = Self.address(parts[0]),
                let prefix = parts.count == 1 ? family.bits : Self.prefix(parts[1], of: family)
            else {
                throw ExtensionError(
                    "\(StringLiteral.quoted(text.string)) is no IP address or range, such as \"10.0.0.0/8\"")
            }
            (self.family, self.address, prefixLength) = (family, address, prefix)
        }

        public var isLoopback: Bool {
            switch family {
            case .v4: address >> 24 == 127 && prefixLength >= 8
            case .v6: address == 1 && prefixLength == 128
            }
        }

        public var isMulticast: Bool {
            switch family {
            case .v4: address >> 28 == 0xE && prefixLength >= 4
            case .v6: address >> 120 == 0xFF && prefixLength >= 8
            }
        }

        /// Whether every address of this range is in the other. No IPv4 address is in an IPv6 range.
        public func isInRange(_ other: IPAddress) -> Bool {
            family == other.family && other.first <= first && last <= other.last
        }

        private var hostMask: UInt128 { (1 << UInt128(family.bits - prefixLength)) &- 1 }
        private var first: UInt128 { address & ~hostMask }
        private var last: UInt128 { address | hostMask }
    }
}

// MARK: - Reading

extension Value.IPAddress {
    private static func address(_ bytes: ArraySlice<UInt8>) -> (Family, UInt128)? {
        // An IPv4 address inside an IPv6 one is not of the language.
        if bytes.contains(UInt8(ascii: ":")) { return v6(bytes).map { (.v6, $0) } }
        return v4(bytes).map { (.v4, $0) }
    }

    private static func v4(_ bytes: ArraySlice<UInt8>) -> UInt128? {
        let parts = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var address: UInt128 = 0
        for part in parts {
            guard let octet = number(part, maximum: 255, digits: 3) else { return nil }
            address = address << 8 | UInt128(octet)
        }
        return address
    }

    /// Eight groups, or fewer with one `::` that stands for at least one.
    private static func v6(_ bytes: ArraySlice<UInt8>) -> UInt128? {
        let colon = UInt8(ascii: ":")
        let gap = bytes.indices.first { bytes[$0] == colon && bytes[$0...].dropFirst().first == colon }
        guard let gap else {
            guard let groups = groups(bytes), groups.count == 8 else { return nil }
            return joined(groups)
        }
        guard let head = groups(bytes[..<gap]), let tail = groups(bytes[(gap + 2)...]), head.count + tail.count < 8
        else { return nil }
        return joined(head + Array(repeating: 0, count: 8 - head.count - tail.count) + tail)
    }

    private static func groups(_ bytes: ArraySlice<UInt8>) -> [UInt16]? {
        if bytes.isEmpty { return [] }
        var groups: [UInt16] = []
        for part in bytes.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false) {
            let digits = part.compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
            guard (1...4).contains(part.count), digits.count == part.count else { return nil }
            groups.append(digits.reduce(0) { $0 << 4 | UInt16($1) })
        }
        return groups
    }

    private static func joined(_ groups: [UInt16]) -> UInt128 { groups.reduce(0) { $0 << 16 | UInt128($1) } }

    private static func prefix(_ bytes: ArraySlice<UInt8>, of family: Family) -> UInt8? {
        number(bytes, maximum: Int64(family.bits), digits: family == .v4 ? 2 : 3).map { UInt8($0) }
    }

    /// Digits without a leading zero.
    private static func number(_ bytes: ArraySlice<UInt8>, maximum: Int64, digits: Int) -> Int64? {
        guard (1...digits).contains(bytes.count), bytes.allSatisfy(Identifier.isDigit),
            bytes.count == 1 || bytes.first != UInt8(ascii: "0"), let value = signedInteger(bytes), value <= maximum
        else { return nil }
        return value
    }
}

// MARK: - Printing

extension Value.IPAddress {
    public var description: String {
        let text =
            switch family {
            case .v4: (0..<4).map { String(address >> UInt128(24 - $0 * 8) & 0xFF) }.joined(separator: ".")
            // Every group is written: a short form would have to be as canonical as this one.
            case .v6:
                (0..<8).map { String(address >> UInt128(112 - $0 * 16) & 0xFFFF, radix: 16) }.joined(separator: ":")
            }
        return prefixLength == family.bits ? text : "\(text)/\(prefixLength)"
    }
}
