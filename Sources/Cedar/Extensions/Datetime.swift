extension Value {
    /// A moment in UTC, in milliseconds since 1970.
    public struct Datetime: Hashable, Comparable, Sendable, CustomStringConvertible {
        public let milliseconds: Int64

        static let day: Int64 = 86_400_000

        public init(milliseconds: Int64) { self.milliseconds = milliseconds }

        /// `YYYY-MM-DD`, or that with `Thh:mm:ss`, `.SSS` if wanted, and `Z` or `±hhmm`.
        public init(_ text: Text) throws(ExtensionError) {
            var reader = Reader(Array(text.string.utf8)[...])
            guard let value = reader.datetime() else {
                throw ExtensionError(
                    "\(StringLiteral.quoted(text.string)) is no date and time, such as \"2026-01-31T09:00:00Z\"")
            }
            milliseconds = value
        }

        public func offset(by duration: Duration) -> Datetime? {
            let (sum, overflow) = milliseconds.addingReportingOverflow(duration.milliseconds)
            return overflow ? nil : Datetime(milliseconds: sum)
        }

        public func durationSince(_ other: Datetime) -> Duration? {
            let (difference, overflow) = milliseconds.subtractingReportingOverflow(other.milliseconds)
            return overflow ? nil : Duration(milliseconds: difference)
        }

        /// Midnight of the day; nil where that lies before the first moment there is.
        public var date: Datetime? {
            let (midnight, overflow) = milliseconds.subtractingReportingOverflow(time.milliseconds)
            return overflow ? nil : Datetime(milliseconds: midnight)
        }

        /// The span since midnight.
        public var time: Duration {
            let rest = milliseconds % Self.day
            return Duration(milliseconds: rest < 0 ? rest + Self.day : rest)
        }

        public static func < (left: Datetime, right: Datetime) -> Bool { left.milliseconds < right.milliseconds }
    }
}

extension Value.Datetime {
    /// RFC 3339 in UTC, to the millisecond where there is one. Years beyond four digits cannot be read back.
    public var description: String {
        let (year, month, date) = Calendar.civil(fromDays: milliseconds.dividedByDay)
        let clock = time.milliseconds
        let seconds = clock / 1000
        let fraction = clock % 1000 == 0 ? "" : ".\(padded(clock % 1000, 3))"
        return "\(padded(year, 4))-\(padded(month, 2))-\(padded(date, 2))T"
            + "\(padded(seconds / 3600, 2)):\(padded(seconds / 60 % 60, 2)):\(padded(seconds % 60, 2))\(fraction)Z"
    }

    /// An expression for it, also where no literal is long enough.
    var expression: String {
        let years = Calendar.days(ofYear: 0, month: 1, date: 1)...Calendar.days(ofYear: 9999, month: 12, date: 31)
        guard years.contains(milliseconds.dividedByDay) else {
            let duration = Value.Duration(milliseconds: milliseconds)
            return "datetime(\"1970-01-01\").offset(duration(\"\(duration)\"))"
        }
        return "datetime(\"\(self)\")"
    }
}

/// Reads the parts of a date from front to back; each gives nil where the text is something else.
private struct Reader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    mutating func datetime() -> Int64? {
        guard let year = digits(4), take("-"), let month = digits(2), take("-"), let date = digits(2),
            (1...12).contains(month), (1...Calendar.length(ofMonth: month, year: year)).contains(date)
        else { return nil }
        let midnight = Calendar.days(ofYear: year, month: month, date: date) * Value.Datetime.day
        if rest.isEmpty { return midnight }
        guard let time = time(), let offset = offset(), rest.isEmpty else { return nil }
        return midnight + time - offset
    }

    private mutating func time() -> Int64? {
        // There is no leap second: a minute has 60.
        guard take("T"), let hour = digits(2), hour < 24, take(":"), let minute = digits(2), minute < 60, take(":"),
            let second = digits(2), second < 60
        else { return nil }
        var milliseconds: Int64 = 0
        if take(".") {
            guard let fraction = digits(3) else { return nil }
            milliseconds = fraction
        }
        return ((hour * 60 + minute) * 60 + second) * 1000 + milliseconds
    }

    private mutating func offset() -> Int64? {
        if take("Z") { return 0 }
        let negative = take("-")
        guard negative || take("+"), let hour = digits(2), hour < 24, let minute = digits(2), minute < 60 else {
            return nil
        }
        return (hour * 60 + minute) * (negative ? -60_000 : 60_000)
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard rest.first == UInt8(ascii: character) else { return false }
        rest = rest.dropFirst()
        return true
    }

    private mutating func digits(_ count: Int) -> Int64? {
        let digits = rest.prefix(count)
        guard digits.count == count, digits.allSatisfy(Identifier.isDigit) else { return nil }
        rest = rest.dropFirst(count)
        return signedInteger(digits)
    }
}

/// The proleptic Gregorian calendar (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
private enum Calendar {
    static func length(ofMonth month: Int64, year: Int64) -> Int64 {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    static func days(ofYear civilYear: Int64, month: Int64, date: Int64) -> Int64 {
        let year = month <= 2 ? civilYear - 1 : civilYear
        let era = (year >= 0 ? year : year - 399) / 400
        let yearOfEra = year - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + date - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    static func civil(fromDays days: Int64) -> (Int64, Int64, Int64) {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let civilMonth = month < 10 ? month + 3 : month - 9
        return (yearOfEra + era * 400 + (civilMonth <= 2 ? 1 : 0), civilMonth, dayOfYear - (153 * month + 2) / 5 + 1)
    }
}

extension Int64 {
    /// Whole days, towards the past.
    fileprivate var dividedByDay: Int64 {
        self / Value.Datetime.day - (self % Value.Datetime.day < 0 ? 1 : 0)
    }
}

private func padded(_ number: Int64, _ width: Int) -> String {
    let digits = String(number.magnitude)
    return (number < 0 ? "-" : "") + String(repeating: "0", count: max(0, width - digits.count)) + digits
}
