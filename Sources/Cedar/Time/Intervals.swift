/// Arithmetic on ranges. A result that may not fit makes the whole range possible, and a failure as well.
enum Intervals {
    static func bool(_ bool: Bool?) -> Outcome { bool.map { .bool($0) } ?? Outcome(value: .unknownBool) }

    static func less(_ left: Approximation, _ right: Approximation) -> Outcome {
        guard let first = left.numbers, let second = right.numbers else { return .unknownBool }
        guard first.kind == second.kind else { return .failure }
        if first.range.upperBound < second.range.lowerBound { return .bool(true) }
        if first.range.lowerBound >= second.range.upperBound { return .bool(false) }
        return bool(nil)
    }

    static func sum(
        _ left: Approximation, _ right: Approximation, _ leftKind: Value.Kind, _ rightKind: Value.Kind,
        gives kind: Value.Kind
    ) -> Outcome {
        guard let first = left.range(of: leftKind), let second = right.range(of: rightKind) else { return .unknown }
        return hull(
            [
                first.lowerBound.addingReportingOverflow(second.lowerBound),
                first.upperBound.addingReportingOverflow(second.upperBound),
            ], kind)
    }

    static func difference(
        _ left: Approximation, _ right: Approximation, _ leftKind: Value.Kind, _ rightKind: Value.Kind,
        gives kind: Value.Kind
    ) -> Outcome {
        guard let first = left.range(of: leftKind), let second = right.range(of: rightKind) else { return .unknown }
        return hull(
            [
                first.lowerBound.subtractingReportingOverflow(second.upperBound),
                first.upperBound.subtractingReportingOverflow(second.lowerBound),
            ], kind)
    }

    static func product(_ left: Approximation, _ right: Approximation) -> Outcome {
        guard let first = left.range(of: .long), let second = right.range(of: .long) else { return .unknown }
        let corners = [first.lowerBound, first.upperBound].flatMap { one in
            [second.lowerBound, second.upperBound].map { one.multipliedReportingOverflow(by: $0) }
        }
        return hull(corners, .long)
    }

    /// Whether a known set holds a value that is not exact.
    static func contains(_ set: Approximation, _ member: Approximation) -> Outcome {
        guard case .exact(.set(let members)) = set else { return .unknownBool }
        let mayBeIn = members.contains { Approximation.exact($0).equals(member) != false }
        return mayBeIn ? bool(nil) : .bool(false)
    }

    /// A function of the extension types, at least one of whose arguments is not exact.
    static func call(_ function: ExtensionFunction, _ arguments: [Approximation]) -> Outcome {
        guard arguments.count == function.argumentCount else { return .failure }
        switch function {
        case .offset: return sum(arguments[0], arguments[1], .datetime, .duration, gives: .datetime)
        case .durationSince: return difference(arguments[0], arguments[1], .datetime, .datetime, gives: .duration)
        case .toDate: return date(of: arguments[0])
        case .toTime: return time(of: arguments[0])
        case .toMilliseconds, .toSeconds, .toMinutes, .toHours, .toDays:
            guard let range = arguments[0].range(of: .duration) else { return .unknown }
            // Cutting towards zero keeps the order.
            let cut = range.lowerBound / function.unit...range.upperBound / function.unit
            return Outcome(value: .within(cut, .long))
        default: return .unknown
        }
    }

    private static func date(of moment: Approximation) -> Outcome {
        guard let range = moment.range(of: .datetime) else { return .unknown }
        guard let first = Value.Datetime(milliseconds: range.lowerBound).date,
            let last = Value.Datetime(milliseconds: range.upperBound).date
        else { return whole(.datetime) }
        return Outcome(value: .within(first.milliseconds...last.milliseconds, .datetime))
    }

    private static func time(of moment: Approximation) -> Outcome {
        guard let range = moment.range(of: .datetime) else { return .unknown }
        let (first, last) = (
            Value.Datetime(milliseconds: range.lowerBound), Value.Datetime(milliseconds: range.upperBound)
        )
        // Only within one day does the time of day run on in order.
        guard let day = first.date, day == last.date else {
            return Outcome(value: .duration(0...Value.Datetime.day - 1))
        }
        return Outcome(value: .within(first.time.milliseconds...last.time.milliseconds, .duration))
    }

    private static func hull(_ corners: [(partialValue: Int64, overflow: Bool)], _ kind: Value.Kind) -> Outcome {
        let values = corners.map(\.partialValue)
        guard !corners.contains(where: \.overflow), let lower = values.min(), let upper = values.max() else {
            return whole(kind)
        }
        return Outcome(value: .within(lower...upper, kind))
    }

    private static func whole(_ kind: Value.Kind) -> Outcome {
        Outcome(value: .within(Int64.min...Int64.max, kind), mayFail: true)
    }
}
