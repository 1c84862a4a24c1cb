/// All that an expression may come to while time passes.
struct Outcome {
    /// What holds of its value; nil if there is none.
    var value: Approximation?
    var mayFail = false

    static let failure = Outcome(value: nil, mayFail: true)
    static let unknownBool = Outcome(value: .unknownBool, mayFail: true)
    static let unknown = Outcome(value: .anything, mayFail: true)

    static func exact(_ value: Value) -> Outcome { Outcome(value: .exact(value)) }
    static func bool(_ bool: Bool) -> Outcome { exact(.bool(bool)) }

    func orFailure(if mayFail: Bool) -> Outcome { Outcome(value: value, mayFail: self.mayFail || mayFail) }

    /// Either of two.
    func joined(with other: Outcome) -> Outcome {
        let value: Approximation? =
            switch (self.value, other.value) {
            case (let value, nil), (nil, let value): value
            case (let left?, let right?): left.joined(with: right)
            }
        return Outcome(value: value, mayFail: mayFail || other.mayFail)
    }
}

/// What holds of a value while time passes: more values than there are, never fewer.
indirect enum Approximation: Equatable {
    case exact(Value)
    case unknownBool
    case long(ClosedRange<Int64>)
    case datetime(ClosedRange<Int64>)
    case duration(ClosedRange<Int64>)
    case record([Text: Approximation])
    case anything

    /// A range of one kind, or the value if it holds one only.
    static func within(_ range: ClosedRange<Int64>, _ kind: Value.Kind) -> Approximation {
        let isOne = range.lowerBound == range.upperBound
        let one = range.lowerBound
        return switch kind {
        case .long: isOne ? .exact(.long(one)) : .long(range)
        case .datetime: isOne ? .exact(.datetime(Value.Datetime(milliseconds: one))) : .datetime(range)
        case .duration: isOne ? .exact(.duration(Value.Duration(milliseconds: one))) : .duration(range)
        default: .anything
        }
    }

    /// The numbers it may be, where the kind is one of those with an order.
    var numbers: (range: ClosedRange<Int64>, kind: Value.Kind)? {
        switch self {
        case .exact(.long(let one)): (one...one, .long)
        case .exact(.datetime(let one)): (one.milliseconds...one.milliseconds, .datetime)
        case .exact(.duration(let one)): (one.milliseconds...one.milliseconds, .duration)
        case .long(let range): (range, .long)
        case .datetime(let range): (range, .datetime)
        case .duration(let range): (range, .duration)
        default: nil
        }
    }

    func range(of kind: Value.Kind) -> ClosedRange<Int64>? {
        guard let numbers, numbers.kind == kind else { return nil }
        return numbers.range
    }

    var exact: Value? { if case .exact(let value) = self { value } else { nil } }

    func joined(with other: Approximation) -> Approximation {
        if self == other { return self }
        if isBool, other.isBool { return .unknownBool }
        guard let left = numbers, let right = other.numbers, left.kind == right.kind else { return .anything }
        let lower = min(left.range.lowerBound, right.range.lowerBound)
        return .within(lower...max(left.range.upperBound, right.range.upperBound), left.kind)
    }

    private var isBool: Bool {
        switch self {
        case .unknownBool, .exact(.bool): true
        default: false
        }
    }

    /// Whether the two are the same value; nil if both may be.
    func equals(_ other: Approximation) -> Bool? {
        if let left = exact, let right = other.exact { return left == right }
        if self == .anything || other == .anything { return nil }
        if let left = numbers, let right = other.numbers {
            // Both being one number is the case above.
            return left.kind == right.kind && left.range.overlaps(right.range) ? nil : false
        }
        if numbers != nil || other.numbers != nil { return false }
        return nil
    }
}

/// What a condition may come to.
struct Possibilities: Equatable {
    var holds = false
    var holdsNot = false
    var fails = false

    init(_ outcome: Outcome) {
        switch outcome.value {
        case .exact(.bool(true)): holds = true
        case .exact(.bool(false)): holdsNot = true
        case .unknownBool: (holds, holdsNot) = (true, true)
        case .anything: (holds, holdsNot, fails) = (true, true, true)
        case nil: break
        default: fails = true
        }
        if outcome.mayFail { fails = true }
    }

    /// Whether it is one and the same throughout.
    var areOne: Bool { [holds, holdsNot, fails].count { $0 } == 1 }

    var negated: Possibilities {
        var other = self
        (other.holds, other.holdsNot) = (holdsNot, holds)
        return other
    }

    /// This, and where it holds, that. What is behind an `&&` counts only then.
    func and(_ next: () -> Possibilities) -> Possibilities {
        guard holds else { return self }
        let next = next()
        var both = self
        both.holds = next.holds
        both.holdsNot = holdsNot || next.holdsNot
        both.fails = fails || next.fails
        return both
    }

    var outcome: Outcome {
        switch (holds, holdsNot) {
        case (true, true): Outcome(value: .unknownBool, mayFail: fails)
        case (true, false): Outcome(value: .exact(.bool(true)), mayFail: fails)
        case (false, true): Outcome(value: .exact(.bool(false)), mayFail: fails)
        case (false, false): Outcome(value: nil, mayFail: fails)
        }
    }
}
