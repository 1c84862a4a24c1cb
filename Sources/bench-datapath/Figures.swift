/// Differences of paired rounds, in nanoseconds.
struct Figures {
    private let sorted: [Double]

    init(_ values: [Double]) { sorted = values.sorted() }

    var median: Double { at(0.5) }
    var description: String { "\(Self.text(median)) ns (\(Self.text(at(0.25))) to \(Self.text(at(0.75))))" }

    private func at(_ share: Double) -> Double {
        guard !sorted.isEmpty else { return .nan }
        let place = share * Double(sorted.count - 1)
        let (low, high) = (sorted[Int(place)], sorted[min(sorted.count - 1, Int(place) + 1)])
        return low + (high - low) * (place - place.rounded(.down))
    }

    static func text(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        return "\(tenths < 0 ? "-" : "+")\(abs(tenths) / 10).\(abs(tenths) % 10)"
    }
}
