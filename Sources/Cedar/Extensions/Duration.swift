extension Value {
    /// A span of time in milliseconds, of either sign.
    public struct Duration: Hashable, Comparable, Sendable, CustomStringConvertible {
        public let milliseconds: Int64

        public init(milliseconds: Int64) { self.milliseconds = milliseconds }

        /// `-?` and then, each at most once and in this order, days, hours, minutes, seconds and milliseconds:
        /// `1d2h3m4s5ms`.
        public init(_ text: Text) throws(ExtensionError) {
            var rest = Array(text.string.utf8)[...]
            let negative = rest.first == UInt8(ascii: "-")
            if negative { rest = rest.dropFirst() }
            guard !rest.isEmpty else { throw Self.malformed(text) }
            var units = Self.units[...]
            var total: Int64 = 0
            while !rest.isEmpty {
                let digits = rest.prefix(while: Identifier.isDigit)
                let name = rest.dropFirst(digits.count).prefix { !Identifier.isDigit($0) }
                guard !digits.isEmpty, let place = units.firstIndex(where: { $0.name.utf8.elementsEqual(name) }) else {
                    throw Self.malformed(text)
                }
                let unit = units[place].milliseconds
                units = units[(place + 1)...]
                rest = rest.dropFirst(digits.count + name.count)
                guard let count = signedInteger(digits, negative: negative),
                    case (let part, false) = count.multipliedReportingOverflow(by: unit),
                    case (let sum, false) = total.addingReportingOverflow(part)
                else { throw ExtensionError("\(StringLiteral.quoted(text.string)) is out of the range of durations") }
                total = sum
            }
            milliseconds = total
        }

        private static func malformed(_ text: Text) -> ExtensionError {
            ExtensionError("\(StringLiteral.quoted(text.string)) is no duration, such as \"1d2h3m4s5ms\"")
        }

        static let units: [(name: String, milliseconds: Int64)] = [
            ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1),
        ]

        public var description: String {
            var rest = milliseconds.magnitude
            var text = ""
            for unit in Self.units {
                let (count, remainder) = rest.quotientAndRemainder(dividingBy: unit.milliseconds.magnitude)
                if count > 0 { text += "\(count)\(unit.name)" }
                rest = remainder
            }
            return text.isEmpty ? "0ms" : (milliseconds < 0 ? "-" : "") + text
        }

        public static func < (left: Duration, right: Duration) -> Bool { left.milliseconds < right.milliseconds }
    }
}
