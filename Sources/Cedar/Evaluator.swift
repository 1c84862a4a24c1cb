/// Evaluates conditions for one request.
struct Evaluator {
    let request: Request
    let entities: Entities

    /// Whether every condition of the policy holds; those behind the first that does not are not evaluated.
    func holds(_ policy: Policy) throws(EvaluationError) -> Bool {
        for condition in policy.conditions {
            let holds: Bool
            do { holds = try value(of: condition.body).bool } catch { throw error.located(at: condition.body.range) }
            if holds != (condition.kind == .when) { return false }
        }
        return true
    }

    func value(of expression: Expression) throws(EvaluationError) -> Value {
        if let constant = expression.constant { return constant }
        do { return try evaluate(expression) } catch { throw error.located(at: expression.range) }
    }

    private func evaluate(_ expression: Expression) throws(EvaluationError) -> Value {
        switch expression.kind {
        case .literal(let value): return value
        case .variable(let variable): return try self.variable(variable)
        case .not(let operand): return .bool(try !bool(operand))
        case .negate(let operand): return try Operations.negate(try value(of: operand).long)
        case .and(let left, let right): return .bool(try bool(left) ? bool(right) : false)
        case .or(let left, let right): return .bool(try bool(left) ? true : bool(right))
        case .binary(let operation, let left, let right):
            return try Operations.binary(operation, try value(of: left), try value(of: right), in: entities)
        case .conditional(let test, let yes, let no): return try value(of: try bool(test) ? yes : no)
        case .attribute(let operand, let name): return try attribute(name, of: operand)
        case .has(let operand, let names): return .bool(try has(names, operand))
        case .like(let operand, let pattern): return .bool(pattern.matches(try value(of: operand).text))
        case .isType(let operand, let type, let group): return .bool(try isType(operand, type, in: group))
        case .isEmpty(let operand): return .bool(try value(of: operand).members.isEmpty)
        case .set(let members):
            var values: Set<Value> = []
            for member in members { values.insert(try value(of: member)) }
            return .set(values)
        case .record(let fields):
            var values: [Text: Value] = [:]
            for field in fields { values[field.key] = try value(of: field.value) }
            return .record(values)
        case .call(let function, let arguments):
            var values: [Value] = []
            for argument in arguments { values.append(try value(of: argument)) }
            return try function(values)
        }
    }

    private func bool(_ operand: Expression) throws(EvaluationError) -> Bool {
        do { return try value(of: operand).bool } catch { throw error.located(at: operand.range) }
    }

    private func variable(_ variable: Expression.Variable) throws(EvaluationError) -> Value {
        switch variable {
        case .principal: return .entity(request.principal)
        case .action: return .entity(request.action)
        case .resource: return .entity(request.resource)
        case .context:
            guard !request.context.isPartial else { throw EvaluationError(.unknownContext(nil)) }
            return .record(request.context.attributes)
        }
    }

    /// What is known of the context can be asked for, also where the whole is not known.
    private func attribute(_ name: Text, of operand: Expression) throws(EvaluationError) -> Value {
        guard case .variable(.context) = operand.kind else {
            return try Operations.attribute(name, of: try value(of: operand), in: entities)
        }
        guard let value = try contextAttribute(name) else { throw EvaluationError(.noSuchField(name)) }
        return value
    }

    private func contextAttribute(_ name: Text) throws(EvaluationError) -> Value? {
        if let value = request.context.attributes[name] { return value }
        guard !request.context.isPartial else { throw EvaluationError(.unknownContext(name)) }
        return nil
    }

    private func has(_ names: [Text], _ operand: Expression) throws(EvaluationError) -> Bool {
        var current: Value
        var rest = names[...]
        if case .variable(.context) = operand.kind {
            guard let name = rest.popFirst(), let value = try contextAttribute(name) else { return false }
            current = value
        } else {
            current = try value(of: operand)
        }
        for name in rest {
            guard let next = try Operations.attributeIfPresent(name, of: current, in: entities) else { return false }
            current = next
        }
        return true
    }

    private func isType(
        _ operand: Expression, _ type: EntityType, in group: Expression?
    ) throws(EvaluationError) -> Bool {
        let member = try value(of: operand)
        guard try member.entity.type == type else { return false }
        guard let group else { return true }
        return try Operations.contains(member, in: try value(of: group), entities)
    }
}
