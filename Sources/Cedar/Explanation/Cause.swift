extension Explanation {
    /// A part of a condition that decided it, with what it came to.
    public struct Cause: Equatable, Sendable {
        /// Neither `&&`, `||`, `!` nor `if`: those are decided by what stands in them.
        public let expression: Expression
        public let value: Bool
        /// What it compares, in the order of the text, and what that came to; constants are left out.
        public let operands: [Operand]
        /// The bound on the other side, where the condition asks for a span and this is one end of it.
        public let otherBound: Value?

        /// Part of a cause, and its value.
        public struct Operand: Equatable, Sendable {
            public let expression: Expression
            public let value: Value
        }
    }
}

extension Evaluator {
    /// The least that makes an expression what it is, where it has a value and that is a boolean.
    func causes(of expression: Expression, being value: Bool) -> [Explanation.Cause] {
        switch expression.kind {
        case .not(let operand): return causes(of: operand, being: !value)
        case .and(let left, let right):
            return value ? causes(of: [left, right], being: true) : cause(of: Self.conjuncts(of: expression))
        case .or(let left, let right):
            return value
                ? causes(of: isTrue(left) ? left : right, being: true) : causes(of: [left, right], being: false)
        case .conditional(let test, let yes, let no): return causes(of: isTrue(test) ? yes : no, being: value)
        default: return [cause(expression, value, among: [])]
        }
    }

    private func causes(of expressions: [Expression], being value: Bool) -> [Explanation.Cause] {
        expressions.flatMap { causes(of: $0, being: value) }
    }

    /// Of expressions that are not all true: the first that is not.
    private func cause(of conjuncts: [Expression]) -> [Explanation.Cause] {
        guard let first = conjuncts.first(where: { !isTrue($0) }) else { return [] }
        guard case .binary = first.kind else { return causes(of: first, being: false) }
        return [cause(first, false, among: conjuncts)]
    }

    private func cause(_ expression: Expression, _ value: Bool, among conjuncts: [Expression]) -> Explanation.Cause {
        let operands = expression.kind.children.filter { $0.constant == nil }.compactMap { operand in
            (try? self.value(of: operand)).map { Explanation.Cause.Operand(expression: operand, value: $0) }
        }
        let bound = expression.bound
        let other = conjuncts.lazy.compactMap(\.bound).first { other in
            other.subject == bound?.subject && other.isUpper != bound?.isUpper
        }
        return Explanation.Cause(
            expression: expression, value: value, operands: operands, otherBound: bound == nil ? nil : other?.limit)
    }

    private func isTrue(_ expression: Expression) -> Bool { (try? value(of: expression)) == .bool(true) }

    private static func conjuncts(of expression: Expression) -> [Expression] {
        guard case .and(let left, let right) = expression.kind else { return [expression] }
        return conjuncts(of: left) + conjuncts(of: right)
    }
}

extension Expression {
    /// What a comparison with a constant bounds.
    fileprivate var bound: (subject: Expression, limit: Value, isUpper: Bool)? {
        guard case .binary(let operation, let left, let right) = kind else { return nil }
        let isLess = operation == .less || operation == .lessOrEqual
        guard isLess || operation == .greater || operation == .greaterOrEqual else { return nil }
        if let limit = right.constant { return left.constant == nil ? (left, limit, isLess) : nil }
        return left.constant.map { (right, $0, !isLess) }
    }
}

extension Explanation.Cause: CustomStringConvertible {
    /// As in: the context's hour is 20, outside 8 to 18.
    public var description: String {
        if let bound = expression.bound, let otherBound, !value {
            let (from, to) = bound.isUpper ? (otherBound, bound.limit) : (bound.limit, otherBound)
            return "\(facts), outside \(Self.plain(from)) to \(Self.plain(to))"
        }
        switch expression.kind {
        case .has(let operand, let path) where !value:
            return "`\(operand)` has no `\(path.map(RecordKey.printed).joined(separator: "."))`"
        case .attribute, .variable: return "`\(expression)` is \(value)"
        case _ where operands.isEmpty: return "`\(expression)` is \(value)"
        default: return "\(facts), so that `\(expression)` is \(value)"
        }
    }

    private var facts: String {
        operands.map { "`\($0.expression)` is \(Self.plain($0.value))" }.joined(separator: " and ")
    }

    /// Without the constructors of the language, and not longer than a line.
    private static func plain(_ value: Value) -> String {
        let text =
            switch value {
            case .ip(let address): "\(address)"
            case .datetime(let datetime): "\(datetime)"
            case .duration(let duration): "\(duration)"
            case .decimal(let decimal): "\(decimal)"
            default: "\(value)"
            }
        return text.utf8.count <= 120 ? text : "\(text.prefix(100))…"
    }
}
