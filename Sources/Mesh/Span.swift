/// A length of time as people write it: `90s`, `15m`, `1h30m`, `1d`.
package struct Span: Equatable, Sendable, CustomStringConvertible {
    package let seconds: Int

    private static let units: [(letter: Character, seconds: Int)] = [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)]
    /// Ten years: more than any deadline of ours, far from an overflow.
    private static let maximum = 3650 * 86_400

    package init(seconds: Int) { self.seconds = seconds }

    /// Units fall from days to seconds, each once.
    package init?(_ text: String) {
        var rest = text[...]
        var units = Self.units[...]
        var total = 0
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            rest = rest.dropFirst(digits.count)
            guard let count = Int(digits), count <= Self.maximum, let letter = rest.popFirst(),
                let index = units.firstIndex(where: { $0.letter == letter })
            else { return nil }
            total += count * units[index].seconds
            guard total <= Self.maximum else { return nil }
            units = units[(index + 1)...]
        }
        guard total > 0 else { return nil }
        seconds = total
    }

    /// The two largest units that are not zero: `1h 30m`.
    package var description: String {
        var rest = seconds
        var parts: [String] = []
        for unit in Self.units {
            if rest / unit.seconds > 0 { parts.append("\(rest / unit.seconds)\(unit.letter)") }
            rest %= unit.seconds
        }
        return parts.isEmpty ? "0s" : parts.prefix(2).joined(separator: " ")
    }
}

extension Span {
    package init(_ duration: Duration) { self.init(seconds: Int(max(0, duration.milliseconds) / 1000)) }

    package var duration: Duration { .seconds(seconds) }
}
