/// Evaluates conditions for all moments of a span at once: what it says may come out does include what does.
///
/// One attribute of the context is the moment; everything else is exact. Where a span is a single moment, so is the
/// answer, as each step whose operands are exact is the evaluator's own.
struct IntervalEvaluator {
    let evaluator: Evaluator
    /// The attribute of the context that tells the time.
    let clock: Text
    let span: ClosedRange<Int64>

    func possibilities(of policy: Policy) -> Possibilities {
        var all = Possibilities(.bool(true))
        for condition in policy.conditions {
            all = all.and {
                let own = Possibilities(outcome(of: condition.body))
                return condition.kind == .when ? own : own.negated
            }
        }
        return all
    }

    func outcome(of expression: Expression) -> Outcome {
        guard expression.usesContext else { return exactly(expression) }
        switch expression.kind {
        case .variable: return context
        case .and(let left, let right):
            return possibilities(of: left).and { possibilities(of: right) }.outcome
        case .or(let left, let right):
            return possibilities(of: left).negated.and { possibilities(of: right).negated }.negated.outcome
        case .conditional(let test, let yes, let no): return conditional(test, yes, no)
        case .attribute(let operand, let name): return attribute(name, of: operand, expression)
        case .has(let operand, let names): return has(names, operand, expression)
        case .set, .record: return collection(expression)
        case .isType(let operand, let type, in: let group?): return isType(operand, type, in: group)
        default: return strict(expression)
        }
    }

    private func possibilities(of expression: Expression) -> Possibilities { Possibilities(outcome(of: expression)) }

    /// Nothing in it changes with time.
    private func exactly(_ expression: Expression) -> Outcome {
        let value = try? evaluator.value(of: expression)
        return Outcome(value: value.map { .exact($0) }, mayFail: value == nil)
    }

    private func conditional(_ test: Expression, _ yes: Expression, _ no: Expression) -> Outcome {
        let test = possibilities(of: test)
        var result = Outcome(value: nil, mayFail: test.fails)
        if test.holds { result = result.joined(with: outcome(of: yes)) }
        if test.holdsNot { result = result.joined(with: outcome(of: no)) }
        return result
    }

    /// The group is not asked for where the type is another.
    private func isType(_ operand: Expression, _ type: EntityType, in group: Expression) -> Outcome {
        let member = outcome(of: operand)
        guard let exact = member.value?.exact else { return member.value == nil ? .failure : .unknownBool }
        guard case .entity(let uid) = exact else { return .failure }
        guard uid.type == type else { return Outcome.bool(false).orFailure(if: member.mayFail) }
        guard case let groups = outcome(of: group), let exactGroup = groups.value?.exact else { return .unknownBool }
        let contains = try? Operations.contains(exact, in: exactGroup, evaluator.entities)
        let mayFail = contains == nil || member.mayFail || groups.mayFail
        return Outcome(value: contains.map { .exact(.bool($0)) }, mayFail: mayFail)
    }
}

// MARK: - The context

extension IntervalEvaluator {
    private var context: Outcome {
        guard !evaluator.request.context.isPartial else { return .failure }
        var fields = evaluator.request.context.attributes.mapValues { Approximation.exact($0) }
        fields[clock] = .within(span, .datetime)
        return Outcome(value: .record(fields))
    }

    private func attribute(_ name: Text, of operand: Expression, _ whole: Expression) -> Outcome {
        if case .variable(.context) = operand.kind {
            return name == clock ? Outcome(value: .within(span, .datetime)) : exactly(whole)
        }
        let base = outcome(of: operand)
        switch base.value {
        case .exact(let value):
            let field = try? Operations.attribute(name, of: value, in: evaluator.entities)
            return Outcome(value: field.map { .exact($0) }, mayFail: field == nil || base.mayFail)
        case .record(let fields):
            return Outcome(value: fields[name], mayFail: fields[name] == nil || base.mayFail)
        case .anything: return .unknown
        default: return .failure
        }
    }

    private func has(_ names: [Text], _ operand: Expression, _ whole: Expression) -> Outcome {
        if case .variable(.context) = operand.kind {
            // The moment is there, and has no attributes itself.
            return names.first != clock ? exactly(whole) : names.count == 1 ? .bool(true) : .failure
        }
        var base = outcome(of: operand)
        for name in names {
            switch base.value {
            case .exact(let value):
                guard let next = try? Operations.attributeIfPresent(name, of: value, in: evaluator.entities) else {
                    let isRight = value.kind == .record || value.kind == .entity
                    return isRight ? Outcome.bool(false).orFailure(if: base.mayFail) : .failure
                }
                base.value = .exact(next)
            case .record(let fields):
                guard let next = fields[name] else { return Outcome.bool(false).orFailure(if: base.mayFail) }
                base.value = next
            case .anything: return .unknownBool
            default: return .failure
            }
        }
        return Outcome.bool(true).orFailure(if: base.mayFail)
    }
}

// MARK: - Operators that need every operand

extension IntervalEvaluator {
    /// The operands' values, and whether any may fail; nil if one has no value at all.
    private func operands(_ expression: Expression) -> (values: [Approximation], mayFail: Bool)? {
        var values: [Approximation] = []
        var mayFail = false
        for child in expression.kind.children {
            let outcome = outcome(of: child)
            guard let value = outcome.value else { return nil }
            values.append(value)
            mayFail = mayFail || outcome.mayFail
        }
        return (values, mayFail)
    }

    private func strict(_ expression: Expression) -> Outcome {
        guard let (values, mayFail) = operands(expression) else { return .failure }
        let exact = values.compactMap(\.exact)
        if exact.count == values.count {
            let value = try? apply(expression.kind, exact)
            return Outcome(value: value.map { .exact($0) }, mayFail: value == nil || mayFail)
        }
        return approximate(expression.kind, values).orFailure(if: mayFail)
    }

    private func apply(_ kind: Expression.Kind, _ values: [Value]) throws(EvaluationError) -> Value {
        switch kind {
        case .not: .bool(try !values[0].bool)
        case .negate: try Operations.negate(try values[0].long)
        case .binary(let operation, _, _):
            try Operations.binary(operation, values[0], values[1], in: evaluator.entities)
        case .like(_, let pattern): .bool(pattern.matches(try values[0].text))
        case .isType(_, let type, _): .bool(try values[0].entity.type == type)
        case .isEmpty: .bool(try values[0].members.isEmpty)
        case .call(let function, _): try function(values)
        default: preconditionFailure("`outcome(of:)` sees to the other kinds")
        }
    }

    private func collection(_ expression: Expression) -> Outcome {
        guard let (values, mayFail) = operands(expression) else { return .failure }
        if case .record(let fields) = expression.kind {
            let pairs = zip(fields, values).map { ($0.key, $1) }
            return Outcome(value: .record(Dictionary(pairs) { _, last in last }), mayFail: mayFail)
        }
        let exact = values.compactMap(\.exact)
        let set = exact.count == values.count ? Approximation.exact(.set(Set(exact))) : .anything
        return Outcome(value: set, mayFail: mayFail)
    }

    private func approximate(_ kind: Expression.Kind, _ values: [Approximation]) -> Outcome {
        switch kind {
        case .not: return Possibilities(Outcome(value: values[0])).negated.outcome
        case .negate: return Intervals.difference(.exact(.long(0)), values[0], .long, .long, gives: .long)
        case .binary(let operation, let left, let right):
            return binary(operation, values[0], values[1], areSame: left == right)
        case .call(let function, _): return Intervals.call(function, values)
        // Of what is told apart here none is a string, an entity or a set.
        case .like, .isType, .isEmpty: return values[0] == .anything ? .unknownBool : .failure
        default: return .unknown
        }
    }

    private func binary(
        _ operation: Expression.BinaryOperator, _ left: Approximation, _ right: Approximation, areSame: Bool
    ) -> Outcome {
        switch operation {
        case .equal: return Intervals.bool(areSame ? true : left.equals(right))
        case .notEqual: return Intervals.bool(areSame ? false : left.equals(right).map { !$0 })
        case .less: return Intervals.less(left, right)
        case .greater: return Intervals.less(right, left)
        case .greaterOrEqual: return Possibilities(Intervals.less(left, right)).negated.outcome
        case .lessOrEqual: return Possibilities(Intervals.less(right, left)).negated.outcome
        case .plus: return Intervals.sum(left, right, .long, .long, gives: .long)
        case .minus: return Intervals.difference(left, right, .long, .long, gives: .long)
        case .times: return Intervals.product(left, right)
        case .contains: return Intervals.contains(left, right)
        case .getTag: return .unknown
        case .in where left != .anything && left.exact == nil: return .failure
        case .in, .containsAll, .containsAny, .hasTag: return .unknownBool
        }
    }
}
