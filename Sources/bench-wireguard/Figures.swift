/// Values with their median and quartiles.
struct Figures: CustomStringConvertible {
    private let sorted: [Double]

    init(_ values: [Double]) { sorted = values.sorted() }

    var median: Double { at(0.5) }
    var upperQuartile: Double { at(0.75) }

    /// `median (lower quartile to upper quartile)`
    var description: String { "\(text(median)) (\(text(at(0.25))) to \(text(upperQuartile)))" }

    private func at(_ share: Double) -> Double {
        guard !sorted.isEmpty else { return .nan }
        let place = share * Double(sorted.count - 1)
        let (low, high) = (sorted[Int(place)], sorted[min(sorted.count - 1, Int(place) + 1)])
        return low + (high - low) * (place - place.rounded(.down))
    }

    private func text(_ value: Double) -> String { "\((value * 100).rounded() / 100)" }
}
