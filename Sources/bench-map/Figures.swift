import Glibc

/// What one session cost.
struct Cost {
    let visits: Int
    let messages: Int
    let bytes: Int
    let seconds: Double
}

/// Medians, with the least and the most.
struct Summary: CustomStringConvertible {
    private let costs: [Cost]
    init(_ costs: [Cost]) { self.costs = costs }

    var description: String {
        "entries \(spread(costs.map { Double($0.visits) })), messages \(spread(costs.map { Double($0.messages) })), "
            + "bytes \(spread(costs.map { Double($0.bytes) })), CPU µs \(spread(costs.map { $0.seconds * 1e6 }))"
    }
}

func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    guard !sorted.isEmpty else { return .nan }
    return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
}

/// `median (least … most)`
func spread(_ values: [Double]) -> String {
    "\(rounded(median(values))) (\(rounded(values.min() ?? .nan)) … \(rounded(values.max() ?? .nan)))"
}

/// Two digits behind the point, where they matter.
func rounded(_ value: Double) -> String {
    let scaled = (value * 100).rounded() / 100
    return scaled == scaled.rounded() ? "\(Int(scaled))" : "\(scaled)"
}

/// The CPU time of this process that some work takes; what else the machine does hardly counts.
func cpuSeconds(_ work: () throws -> Void) rethrows -> Double {
    let start = cpuTime()
    try work()
    return cpuTime() - start
}

private func cpuTime() -> Double {
    var time = timespec()
    unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}
