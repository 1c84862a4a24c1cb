/// Measured values of one name, as Prometheus scrapes them (text format 0.0.4,
/// https://prometheus.io/docs/instrumenting/exposition_formats).
///
/// Labels name what there are few of: reasons, routes. Never agents, addresses or anything that a stranger sends.
package struct MetricFamily: Sendable {
    package enum Kind: String, Sendable {
        /// Only rises, until the process starts again.
        case counter
        case gauge
    }

    package struct Sample: Sendable {
        package let labels: [(name: String, value: String)]
        package let value: Double

        package init(_ labels: [(name: String, value: String)] = [], _ value: Double) {
            (self.labels, self.value) = (labels, value)
        }
    }

    package let name: String
    package let help: String
    package let kind: Kind
    package let samples: [Sample]

    package init(_ name: String, _ kind: Kind, _ help: String, _ samples: [Sample]) {
        (self.name, self.kind, self.help, self.samples) = (name, kind, help, samples)
    }

    /// Of one value; without it the family has no sample, which says that nobody knows.
    package init(_ name: String, _ kind: Kind, _ help: String, _ value: Double?) {
        self.init(name, kind, help, value.map { [Sample([], $0)] } ?? [])
    }

    package static func text(_ families: [MetricFamily]) -> String { families.map(\.text).joined() }

    private var text: String {
        let lines = samples.map { "\(name)\($0.labelText) \(Self.text($0.value))\n" }
        return "# HELP \(name) \(help.escaped(quotes: false))\n# TYPE \(name) \(kind.rawValue)\n" + lines.joined()
    }

    /// A whole number as one: what reads it may be a person.
    private static func text(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        return Int64(exactly: value).map(String.init) ?? "\(value)"
    }
}

extension MetricFamily.Sample {
    fileprivate var labelText: String {
        guard !labels.isEmpty else { return "" }
        return "{" + labels.map { "\($0.name)=\"\($0.value.escaped(quotes: true))\"" }.joined(separator: ",") + "}"
    }
}

extension String {
    fileprivate func escaped(quotes: Bool) -> String {
        var result = ""
        for character in unicodeScalars {
            switch character {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quotes: result += "\\\""
            default: result.unicodeScalars.append(character)
            }
        }
        return result
    }
}
