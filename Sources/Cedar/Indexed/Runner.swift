/// Runs programs for one request. What they come to is what the `Evaluator` says; why one fails, only that tells.
struct Runner {
    let frame: Frame
    let entities: Entities

    /// What a condition comes to.
    enum Truth { case yes, no, failed }

    /// How a program ends.
    enum End: Equatable, Sendable {
        case holds
        /// This clause does not hold.
        case clause(Int)
        case failed
    }

    func run(_ program: Program) -> End {
        for (number, clause) in program.clauses.enumerated() {
            switch truth(clause.root, program) {
            case .failed: return .failed
            case .yes where clause.kind == .unless, .no where clause.kind == .when: return .clause(number)
            case .yes, .no: break
            }
        }
        return .holds
    }

    private func truth(_ index: Program.NodeIndex, _ program: Program) -> Truth {
        switch program.nodes[Int(index)] {
        case .not(let operand): return truth(operand, program).negated
        case .and(let left, let right):
            let first = truth(left, program)
            return first == .yes ? truth(right, program) : first
        case .or(let left, let right):
            let first = truth(left, program)
            return first == .no ? truth(right, program) : first
        case .equal(let left, let right): return areEqual(left, right, program)
        case .notEqual(let left, let right): return areEqual(left, right, program).negated
        case .less(let left, let right): return less(operand(left, program), operand(right, program), orEqual: false)
        case .lessOrEqual(let left, let right):
            return less(operand(left, program), operand(right, program), orEqual: true)
        case .within(let member, let group): return within(operand(member, program), operand(group, program))
        case .withinAny(let member, let groups):
            return within(operand(member, program), anyOf: program.groups[Int(groups)])
        case .contains(let set, let member): return contains(operand(set, program), operand(member, program))
        case .has(let operand, let name, let count):
            return has(self.operand(operand, program), name..<name + count, program)
        case .contextHas(let name, let count): return contextHas(name..<name + count, program)
        case .like(let operand, let pattern):
            guard case .other(.string(let text)) = self.operand(operand, program) else { return .failed }
            return Truth(program.patterns[Int(pattern)].matches(text))
        case .isType(let operand, let type): return isType(self.operand(operand, program), program.types[Int(type)])
        case .isTypeWithin(let member, let type, let group):
            let member = operand(member, program)
            let isType = isType(member, program.types[Int(type)])
            return isType == .yes ? within(member, operand(group, program)) : isType
        case .isEmpty(let operand):
            guard case .other(.set(let members)) = self.operand(operand, program) else { return .failed }
            return Truth(members.isEmpty)
        case .conditional(let test, let yes, let no):
            switch truth(test, program) {
            case .yes: return truth(yes, program)
            case .no: return truth(no, program)
            case .failed: return .failed
            }
        default:
            guard case .bool(let bool) = operand(index, program) else { return .failed }
            return Truth(bool)
        }
    }

    private func operand(_ index: Program.NodeIndex, _ program: Program) -> Operand {
        switch program.nodes[Int(index)] {
        case .constant(let number): return program.constants[Int(number)]
        case .principal: return frame.principal.operand
        case .action: return frame.action.operand
        case .resource: return frame.resource.operand
        case .attribute(let operand, let name):
            return attribute(program.names[Int(name)], of: self.operand(operand, program))
        case .contextAttribute(let name):
            return frame.request.context.attributes[program.names[Int(name)].text].map(entities.operand) ?? .failed
        case .conditional(let test, let yes, let no):
            switch truth(test, program) {
            case .yes: return operand(yes, program)
            case .no: return operand(no, program)
            case .failed: return .failed
            }
        case .negate(let operand):
            guard case .long(let number) = self.operand(operand, program), number != .min else { return .failed }
            return .long(-number)
        case .arithmetic(let operation, let left, let right):
            return arithmetic(operation, operand(left, program), operand(right, program))
        case .binary(let operation, let left, let right):
            return binary(operation, operand(left, program), operand(right, program))
        case .call(let function, let argument): return call(function, operand(argument, program))
        case .callWith(let function, let first, let second):
            return call(function, operand(first, program), operand(second, program))
        case .evaluate(let expression): return evaluate(program.expressions[Int(expression)])
        default: return truth(index, program).operand
        }
    }
}

extension Runner.Truth {
    init(_ bool: Bool) { self = bool ? .yes : .no }

    fileprivate var negated: Self {
        switch self {
        case .yes: .no
        case .no: .yes
        case .failed: .failed
        }
    }

    fileprivate var operand: Operand {
        switch self {
        case .yes: .bool(true)
        case .no: .bool(false)
        case .failed: .failed
        }
    }
}

// MARK: - Operators

extension Runner {
    private func areEqual(_ left: Program.NodeIndex, _ right: Program.NodeIndex, _ program: Program) -> Truth {
        let (left, right) = (operand(left, program), operand(right, program))
        if case .failed = left { return .failed }
        if case .failed = right { return .failed }
        return Truth(left == right)
    }

    private func less(_ left: Operand, _ right: Operand, orEqual: Bool) -> Truth {
        switch (left, right) {
        case (.long(let left), .long(let right)): Truth(orEqual ? left <= right : left < right)
        case (.other(.datetime(let left)), .other(.datetime(let right))): Truth(orEqual ? left <= right : left < right)
        case (.other(.duration(let left)), .other(.duration(let right))): Truth(orEqual ? left <= right : left < right)
        default: .failed
        }
    }

    private func arithmetic(_ operation: Expression.BinaryOperator, _ left: Operand, _ right: Operand) -> Operand {
        guard case .long(let left) = left, case .long(let right) = right else { return .failed }
        let (result, overflow) =
            switch operation {
            case .plus: left.addingReportingOverflow(right)
            case .minus: left.subtractingReportingOverflow(right)
            default: left.multipliedReportingOverflow(by: right)
            }
        return overflow ? .failed : .long(result)
    }

    private func within(_ member: Operand, _ group: Operand) -> Truth {
        switch (member, group) {
        case (.entity(let member), .entity(let group)): Truth(entities.row(member).isWithin(group))
        // What has no number belongs to nothing but itself.
        case (.entity, .other(.entity)), (.other(.entity), .entity): .no
        case (.other(.entity(let member)), .other(.entity(let group))): Truth(member == group)
        default:
            result { entities throws(EvaluationError) in
                guard let member = entities.value(member), let group = entities.value(group) else { return nil }
                return .bool(try Operations.contains(member, in: group, entities))
            }.truth
        }
    }

    private func within(_ member: Operand, anyOf groups: [Handle]) -> Truth {
        switch member {
        case .entity(let member):
            let row = entities.row(member)
            for group in groups where row.isWithin(group) { return .yes }
            return .no
        case .other(.entity): return .no
        default: return .failed
        }
    }

    private func contains(_ set: Operand, _ member: Operand) -> Truth {
        guard case .other(.set(let members)) = set, let member = entities.value(member) else { return .failed }
        return Truth(members.contains(member))
    }

    private func isType(_ operand: Operand, _ type: EntityType) -> Truth {
        switch operand {
        case .entity(let handle): Truth(entities.row(handle).uid.type == type)
        case .other(.entity(let uid)): Truth(uid.type == type)
        default: .failed
        }
    }

    private func binary(_ operation: Expression.BinaryOperator, _ left: Operand, _ right: Operand) -> Operand {
        result { entities throws(EvaluationError) in
            guard let left = entities.value(left), let right = entities.value(right) else { return nil }
            return try Operations.binary(operation, left, right, in: entities)
        }
    }

    private func call(_ function: ExtensionFunction, _ argument: Operand) -> Operand {
        result { entities throws(EvaluationError) in
            guard let argument = entities.value(argument) else { return nil }
            return try function([argument])
        }
    }

    private func call(_ function: ExtensionFunction, _ first: Operand, _ second: Operand) -> Operand {
        if function == .isInRange, case .other(.ip(let address)) = first, case .other(.ip(let range)) = second {
            return .bool(address.isInRange(range))
        }
        return result { entities throws(EvaluationError) in
            guard let first = entities.value(first), let second = entities.value(second) else { return nil }
            return try function([first, second])
        }
    }

    private func evaluate(_ expression: Expression) -> Operand {
        result { entities throws(EvaluationError) in
            try Evaluator(request: frame.request, entities: entities).value(of: expression)
        }
    }

    private func result(_ body: (Entities) throws(EvaluationError) -> Value?) -> Operand {
        do throws(EvaluationError) { return try body(entities).map(entities.operand) ?? .failed } catch {
            return .failed
        }
    }
}

// MARK: - Attributes

extension Runner {
    private func attribute(_ name: AttributeName, of operand: Operand) -> Operand {
        switch operand {
        case .entity(let handle): entities.row(handle).value(name) ?? .failed
        case .other(.record(let fields)): fields[name.text].map(entities.operand) ?? .failed
        default: .failed
        }
    }

    private func contextHas(_ path: Range<UInt32>, _ program: Program) -> Truth {
        let context = frame.request.context
        guard let first = context.attributes[program.names[Int(path.lowerBound)].text] else {
            return context.isPartial ? .failed : .no
        }
        return path.count == 1 ? .yes : has(entities.operand(first), path.dropFirst(), program)
    }

    private func has(_ operand: Operand, _ path: Range<UInt32>, _ program: Program) -> Truth {
        var current = operand
        for place in path {
            let name = program.names[Int(place)]
            switch current {
            case .entity(let handle):
                guard let value = entities.row(handle).value(name) else { return .no }
                current = value
            case .other(.record(let fields)):
                guard let value = fields[name.text] else { return .no }
                current = entities.operand(value)
            case .other(.entity): return .no
            default: return .failed
            }
        }
        return .yes
    }
}

extension Operand {
    fileprivate var truth: Runner.Truth {
        guard case .bool(let bool) = self else { return .failed }
        return Runner.Truth(bool)
    }
}
