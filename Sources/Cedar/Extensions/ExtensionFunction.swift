/// A function or method of the extension types.
public enum ExtensionFunction: String, Hashable, Sendable, CaseIterable {
    // Constructors, which take a string.
    case decimal, ip, datetime, duration
    // Of decimals.
    case lessThan, lessThanOrEqual, greaterThan, greaterThanOrEqual
    // Of IP addresses.
    case isIpv4, isIpv6, isLoopback, isMulticast, isInRange
    // Of moments.
    case offset, durationSince, toDate, toTime
    // Of durations.
    case toMilliseconds, toSeconds, toMinutes, toHours, toDays

    /// Whether it is called as a function; all others are methods of their first argument.
    public var isConstructor: Bool {
        switch self {
        case .decimal, .ip, .datetime, .duration: true
        default: false
        }
    }

    /// With the value that a method is called on.
    public var argumentCount: Int {
        switch self {
        case .lessThan, .lessThanOrEqual, .greaterThan, .greaterThanOrEqual, .isInRange, .offset, .durationSince: 2
        default: 1
        }
    }

    public func callAsFunction(_ arguments: [Value]) throws(EvaluationError) -> Value {
        guard arguments.count == argumentCount else {
            throw EvaluationError(
                .wrongArgumentCount(function: rawValue, expected: argumentCount, found: arguments.count))
        }
        let first = arguments[0]
        switch self {
        case .decimal, .ip, .datetime, .duration: return try construct(try first.text)
        case .lessThan: return .bool(try first.decimal < arguments[1].decimal)
        case .lessThanOrEqual: return .bool(try first.decimal <= arguments[1].decimal)
        case .greaterThan: return .bool(try first.decimal > arguments[1].decimal)
        case .greaterThanOrEqual: return .bool(try first.decimal >= arguments[1].decimal)
        case .isIpv4: return .bool(try first.address.family == .v4)
        case .isIpv6: return .bool(try first.address.family == .v6)
        case .isLoopback: return .bool(try first.address.isLoopback)
        case .isMulticast: return .bool(try first.address.isMulticast)
        case .isInRange: return .bool(try first.address.isInRange(try arguments[1].address))
        case .offset, .durationSince, .toDate, .toTime: return try moment(try first.moment, arguments)
        case .toMilliseconds, .toSeconds, .toMinutes, .toHours, .toDays:
            return .long(try first.span.milliseconds / unit)
        }
    }

    private func construct(_ text: Text) throws(EvaluationError) -> Value {
        do throws(ExtensionError) {
            return switch self {
            case .decimal: .decimal(try Value.Decimal(text))
            case .ip: .ip(try Value.IPAddress(text))
            case .datetime: .datetime(try Value.Datetime(text))
            default: .duration(try Value.Duration(text))
            }
        } catch { throw EvaluationError(.extensionFailed(function: rawValue, error)) }
    }

    private func moment(_ moment: Value.Datetime, _ arguments: [Value]) throws(EvaluationError) -> Value {
        let result: Value? =
            switch self {
            case .offset: moment.offset(by: try arguments[1].span).map { .datetime($0) }
            case .durationSince: moment.durationSince(try arguments[1].moment).map { .duration($0) }
            case .toDate: moment.date.map { .datetime($0) }
            default: .duration(moment.time)
            }
        guard let result else {
            throw EvaluationError(
                .extensionFailed(function: rawValue, ExtensionError("the result is out of range")))
        }
        return result
    }

    /// Milliseconds of the unit that a duration is told in.
    var unit: Int64 {
        switch self {
        case .toSeconds: 1000
        case .toMinutes: 60_000
        case .toHours: 3_600_000
        case .toDays: Value.Datetime.day
        default: 1
        }
    }
}

extension Value {
    fileprivate var decimal: Decimal {
        get throws(EvaluationError) {
            guard case .decimal(let decimal) = self else { throw wrongType(.decimal) }
            return decimal
        }
    }

    fileprivate var address: IPAddress {
        get throws(EvaluationError) {
            guard case .ip(let address) = self else { throw wrongType(.ip) }
            return address
        }
    }

    fileprivate var moment: Datetime {
        get throws(EvaluationError) {
            guard case .datetime(let moment) = self else { throw wrongType(.datetime) }
            return moment
        }
    }

    fileprivate var span: Duration {
        get throws(EvaluationError) {
            guard case .duration(let span) = self else { throw wrongType(.duration) }
            return span
        }
    }
}
