/// Evaluates what is known of a request, and leaves the rest as an expression.
struct PartialEvaluator {
    enum Outcome {
        case value(Value)
        /// It has no value, whatever the rest is.
        case failure
        case residual(Expression)
    }

    let schema: Schema
    let entities: Entities
    let context: Context
    let principal: EntityUID?
    let principalType: EntityType
    let action: EntityUID
    let resource: EntityUID?
    let resourceType: EntityType

    /// What a policy comes to; its action is known to match.
    func outcome(of prepared: PreparedPolicy) -> Outcome {
        let scope = prepared.policy.scope
        if let principal, !scope.principal.matches(principal, in: entities) { return .value(.bool(false)) }
        if let resource, !scope.resource.matches(resource, in: entities) { return .value(.bool(false)) }
        let questions = (
            principal == nil ? prepared.principalQuestion : nil, resource == nil ? prepared.resourceQuestion : nil
        )
        let condition = outcome(of: prepared.condition)
        let asked: Expression
        switch questions {
        case (nil, nil): return condition
        case (let one?, nil), (nil, let one?): asked = one
        case (let first?, let second?): asked = Expression(.and(first, second))
        }
        switch condition {
        case .value(.bool(true)): return .residual(asked)
        case .value: return condition
        case .failure: return .residual(Expression(.and(asked, prepared.condition.expression)))
        case .residual(let rest): return .residual(Expression(.and(asked, rest)))
        }
    }

    func outcome(of typed: TypedExpression) -> Outcome {
        let children = typed.children
        switch typed.expression.kind {
        case .literal(let value): return .value(value)
        case .variable(let variable): return self.variable(variable, typed)
        case .and,
            .isType(_, _, in: .some) where children.count == 2:
            return and(children[0], children[1], typed)
        case .or where children.count == 2: return or(children[0], children[1], typed)
        case .conditional where children.count == 3: return conditional(typed)
        case .attribute(_, let name) where children.count == 1: return attribute(name, typed)
        case .has(_, let names) where children.count == 1 && names.count == 1: return has(names[0], typed)
        case .isType(_, let type, in: nil) where children.count == 1: return isType(type, typed)
        case .binary(let operation, _, _) where children.count == 2: return binary(operation, typed)
        default: return strict(typed)
        }
    }

    private func variable(_ variable: Expression.Variable, _ typed: TypedExpression) -> Outcome {
        switch variable {
        case .principal: principal.map { .value(.entity($0)) } ?? .residual(typed.expression)
        case .resource: resource.map { .value(.entity($0)) } ?? .residual(typed.expression)
        case .action: .value(.entity(action))
        case .context: context.isPartial ? .residual(typed.expression) : .value(.record(context.attributes))
        }
    }
}

extension EntityConstraint {
    /// What is asked of a variable that is not known; nil if nothing. That its type fits is known.
    func question(of variable: Expression.Variable) -> Expression? {
        let subject = Expression(.variable(variable))
        return switch self {
        case .any, .isType: nil
        case .equal(let entity): Expression(.binary(.equal, subject, Expression(.literal(.entity(entity)))))
        case .within(let group), .isTypeWithin(_, let group):
            Expression(.binary(.in, subject, Expression(.literal(.entity(group)))))
        }
    }
}

// MARK: - Logic

extension PartialEvaluator {
    private func and(_ left: TypedExpression, _ right: TypedExpression, _ typed: TypedExpression) -> Outcome {
        switch outcome(of: left) {
        case .failure: return .failure
        case .value(.bool(true)): return outcome(of: right)
        case .value: return .value(.bool(false))
        case .residual(let first):
            switch outcome(of: right) {
            // It is a boolean, so that nothing is left to ask behind it.
            case .value(.bool(true)): return .residual(first)
            // What stands before may fail, and then so does the whole.
            case .value(let value): return .residual(Expression(.and(first, Expression(.literal(value)))))
            case .failure: return .residual(Expression(.and(first, right.expression)))
            case .residual(let second): return .residual(Expression(.and(first, second)))
            }
        }
    }

    private func or(_ left: TypedExpression, _ right: TypedExpression, _ typed: TypedExpression) -> Outcome {
        switch outcome(of: left) {
        case .failure: return .failure
        case .value(.bool(false)): return outcome(of: right)
        case .value: return .value(.bool(true))
        case .residual(let first):
            switch outcome(of: right) {
            case .value(.bool(false)): return .residual(first)
            case .value(let value): return .residual(Expression(.or(first, Expression(.literal(value)))))
            case .failure: return .residual(Expression(.or(first, right.expression)))
            case .residual(let second): return .residual(Expression(.or(first, second)))
            }
        }
    }

    private func conditional(_ typed: TypedExpression) -> Outcome {
        let children = typed.children
        switch outcome(of: children[0]) {
        case .failure: return .failure
        case .value(.bool(true)): return outcome(of: children[1])
        case .value: return outcome(of: children[2])
        case .residual(let test):
            let (yes, no) = (expression(of: children[1]), expression(of: children[2]))
            return .residual(Expression(.conditional(if: test, then: yes, else: no)))
        }
    }

    /// What is left of an expression; of one that fails, all.
    private func expression(of typed: TypedExpression) -> Expression {
        switch outcome(of: typed) {
        case .value(let value): Expression(.literal(value))
        case .failure: typed.expression
        case .residual(let rest): rest
        }
    }
}

// MARK: - Entities and records

extension PartialEvaluator {
    private func attribute(_ name: Text, _ typed: TypedExpression) -> Outcome {
        if isContext(typed.children[0]), let known = context.attributes[name] { return .value(known) }
        switch outcome(of: typed.children[0]) {
        case .failure: return .failure
        case .value(let value):
            return result { () throws(EvaluationError) in try Operations.attribute(name, of: value, in: entities) }
        case .residual(let rest): return .residual(Expression(.attribute(rest, name)))
        }
    }

    private func has(_ name: Text, _ typed: TypedExpression) -> Outcome {
        if isContext(typed.children[0]) {
            if context.attributes[name] != nil { return .value(.bool(true)) }
            if case .record(let record)? = typed.children[0].type, record.attributes[name]?.isRequired == true {
                return .value(.bool(true))
            }
        }
        switch outcome(of: typed.children[0]) {
        case .failure: return .failure
        case .value(let value):
            return result { () throws(EvaluationError) in
                .bool(try Operations.attributeIfPresent(name, of: value, in: entities) != nil)
            }
        case .residual(let rest): return .residual(Expression(.has(rest, [name])))
        }
    }

    private func isContext(_ typed: TypedExpression) -> Bool {
        if case .variable(.context) = typed.expression.kind { true } else { false }
    }

    private func isType(_ type: EntityType, _ typed: TypedExpression) -> Outcome {
        switch outcome(of: typed.children[0]) {
        case .failure: return .failure
        case .value(let value): return result { () throws(EvaluationError) in .bool(try value.entity.type == type) }
        case .residual(let rest):
            if let known = self.type(ofVariable: rest) { return .value(.bool(known == type)) }
            return .residual(Expression(.isType(rest, type, in: nil)))
        }
    }

    /// The type of a variable, which is known even where its id is not.
    private func type(ofVariable expression: Expression) -> EntityType? {
        switch expression.kind {
        case .variable(.principal): principalType
        case .variable(.resource): resourceType
        default: nil
        }
    }

    private func binary(_ operation: Expression.BinaryOperator, _ typed: TypedExpression) -> Outcome {
        let left = outcome(of: typed.children[0])
        if case .failure = left { return .failure }
        let right = outcome(of: typed.children[1])
        switch (left, right) {
        case (.value(let left), .value(let right)):
            return result { () throws(EvaluationError) in try Operations.binary(operation, left, right, in: entities) }
        case (.value, .failure): return .failure
        case (.residual(let first), .value(let second)):
            if let known = byType(operation, first, second) { return .value(.bool(known)) }
            return .residual(Expression(.binary(operation, first, Expression(.literal(second)))))
        case (.value(let first), .residual(let second)):
            if operation == .equal || operation == .notEqual, let known = byType(operation, second, first) {
                return .value(.bool(known))
            }
            return .residual(Expression(.binary(operation, Expression(.literal(first)), second)))
        case (.residual(let first), .residual(let second)):
            if operation == .equal || operation == .notEqual || operation == .in, first == second,
                type(ofVariable: first) != nil
            {
                return .value(.bool(operation != .notEqual))
            }
            return .residual(Expression(.binary(operation, first, second)))
        default: return .residual(Expression(.binary(operation, left.expression, typed.children[1].expression)))
        }
    }

    /// What types alone tell of an unknown variable beside a value; nil if nothing.
    private func byType(_ operation: Expression.BinaryOperator, _ variable: Expression, _ value: Value) -> Bool? {
        guard let type = type(ofVariable: variable) else { return nil }
        switch (operation, value) {
        case (.equal, .entity(let entity)): return entity.type == type ? nil : false
        case (.notEqual, .entity(let entity)): return entity.type == type ? nil : true
        case (.in, .entity(let group)): return schema.types(within: group.type).contains(type) ? nil : false
        case (.in, .set(let groups)):
            let mayBelong = groups.contains { group in
                guard case .entity(let group) = group else { return true }
                return schema.types(within: group.type).contains(type)
            }
            return mayBelong ? nil : false
        default: return nil
        }
    }

    /// Whatever evaluates all that it is made of.
    private func strict(_ typed: TypedExpression) -> Outcome {
        var parts: [Expression] = []
        var values: [Value] = []
        for child in typed.children {
            switch outcome(of: child) {
            case .failure where values.count == parts.count: return .failure
            case .failure: parts.append(child.expression)
            case .value(let value):
                values.append(value)
                parts.append(Expression(.literal(value)))
            case .residual(let rest): parts.append(rest)
            }
        }
        guard values.count == parts.count else { return .residual(Expression(typed.expression.kind.with(parts))) }
        return result { () throws(EvaluationError) in try typed.expression.kind.value(of: values) }
    }

    private func result(_ body: () throws(EvaluationError) -> Value) -> Outcome {
        do throws(EvaluationError) { return .value(try body()) } catch { return .failure }
    }
}

extension PartialEvaluator.Outcome {
    /// What is left of something that has not failed.
    fileprivate var expression: Expression {
        switch self {
        case .value(let value): Expression(.literal(value))
        case .residual(let rest): rest
        case .failure: Expression(.literal(.bool(false)))
        }
    }
}

extension Expression.Kind {
    /// The same with other parts, for what evaluates all of them.
    fileprivate func with(_ parts: [Expression]) -> Self {
        switch self {
        case .not: .not(parts[0])
        case .negate: .negate(parts[0])
        case .isEmpty: .isEmpty(parts[0])
        case .like(_, let pattern): .like(parts[0], pattern)
        case .set: .set(parts)
        case .record(let fields): .record(zip(fields, parts).map { Expression.Field($0.key, $1) })
        case .call(let function, _): .call(function, parts)
        default: self
        }
    }

    fileprivate func value(of values: [Value]) throws(EvaluationError) -> Value {
        switch self {
        case .not: return .bool(try !values[0].bool)
        case .negate: return try Operations.negate(try values[0].long)
        case .isEmpty: return .bool(try values[0].members.isEmpty)
        case .like(_, let pattern): return .bool(pattern.matches(try values[0].text))
        case .set: return .set(Set(values))
        case .record(let fields):
            return .record(Dictionary(zip(fields.map(\.key), values)) { _, last in last })
        case .call(let function, _): return try function(values)
        // The parser and the checker leave no other.
        default: throw EvaluationError(.wrongType(found: .bool, expected: []))
        }
    }
}
