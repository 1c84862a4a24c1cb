/// A moment in UTC, in milliseconds since 1970.
///
/// Deadlines travel as this; a node turns them into time since boot before anything relies on them.
package struct Timestamp: RawRepresentable, Hashable, Comparable, Codable, Sendable, CustomStringConvertible {
    package let rawValue: Int64
    package init(rawValue: Int64) { self.rawValue = rawValue }

    package static func + (moment: Timestamp, span: Duration) -> Timestamp {
        Timestamp(rawValue: moment.rawValue.addingClamped(span.milliseconds))
    }
    package static func - (later: Timestamp, earlier: Timestamp) -> Duration {
        .milliseconds(later.rawValue.subtractingClamped(earlier.rawValue))
    }
    package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }

    /// RFC 3339 in UTC, to the second: `2026-01-31T09:00:00Z`.
    package var description: String {
        let seconds = rawValue.floorDivided(by: 1000)
        let (day, clock) = (seconds.floorDivided(by: 86_400), seconds - seconds.floorDivided(by: 86_400) * 86_400)
        let (year, month, date) = civil(fromDays: day)
        return "\(pad(year, 4))-\(pad(month, 2))-\(pad(date, 2))T"
            + "\(pad(clock / 3600, 2)):\(pad(clock / 60 % 60, 2)):\(pad(clock % 60, 2))Z"
    }
}

extension Duration {
    /// Whole milliseconds, cut towards zero.
    package var milliseconds: Int64 {
        components.seconds.multipliedClamped(by: 1000).addingClamped(components.attoseconds / 1_000_000_000_000_000)
    }
}

extension Int64 {
    fileprivate func addingClamped(_ other: Int64) -> Int64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? (other < 0 ? .min : .max) : sum
    }

    fileprivate func subtractingClamped(_ other: Int64) -> Int64 {
        let (difference, overflow) = subtractingReportingOverflow(other)
        return overflow ? (other < 0 ? .max : .min) : difference
    }

    fileprivate func multipliedClamped(by other: Int64) -> Int64 {
        let (product, overflow) = multipliedReportingOverflow(by: other)
        return overflow ? ((self < 0) == (other < 0) ? .max : .min) : product
    }

    fileprivate func floorDivided(by divisor: Int64) -> Int64 {
        self / divisor - (self % divisor < 0 ? 1 : 0)
    }
}

private func pad(_ number: Int64, _ width: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: Swift.max(0, width - text.count)) + text
}

/// Year, month and day of the proleptic Gregorian calendar, from days since 1970
/// (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
private func civil(fromDays days: Int64) -> (Int64, Int64, Int64) {
    let shifted = days + 719_468
    let era = shifted.floorDivided(by: 146_097)
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
}
