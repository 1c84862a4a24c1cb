import Foundation
import Glibc

/// Times of one thing, done again and again.
struct Samples: Decodable {
    /// In microseconds, ascending.
    let sorted: [Double]

    init(_ microseconds: [Double]) { sorted = microseconds.sorted() }

    init(from decoder: any Decoder) throws { self.init(try [Double](from: decoder)) }

    /// Times each call by itself; the clock's own cost is part of it.
    init(count: Int, _ body: (Int) throws -> Void) rethrows {
        var times: [Double] = []
        times.reserveCapacity(count)
        for number in 0..<count {
            let start = Self.now()
            try body(number)
            times.append(Double(Self.now() - start) / 1_000)
        }
        self.init(times)
    }

    func percentile(_ part: Double) -> Double {
        sorted.isEmpty ? .infinity : sorted[min(sorted.count - 1, Int(Double(sorted.count) * part))]
    }

    var median: Double { percentile(0.5) }

    /// The median, and the middle half beside it.
    var description: String {
        "\(Self.text(median)) (\(Self.text(percentile(0.25))) to \(Self.text(percentile(0.75))))"
    }

    /// As many digits as mean something.
    static func text(_ microseconds: Double) -> String {
        if microseconds >= 10_000 { return String(format: "%.1f ms", microseconds / 1_000) }
        return String(
            format: microseconds >= 100 ? "%.0f µs" : microseconds >= 10 ? "%.1f µs" : "%.2f µs", microseconds)
    }

    /// Nanoseconds since some moment.
    private static func now() -> Int64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

/// What the process has in memory.
enum Memory {
    static func resident() throws -> Int {
        let fields = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ")
        guard fields.count > 1, let pages = Int(fields[1]) else {
            throw BenchError("`/proc/self/statm` tells no pages")
        }
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }
}
