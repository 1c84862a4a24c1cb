/// Runs programs for one request. What they come to is what the `Evaluator` says; why one fails, only that tells.
///
/// Not copied, as it holds the answer that it makes.
struct Runner: ~Copyable {
    private(set) var answer: Answer
    let principal: Party
    let action: Party
    let resource: Party

    init(_ request: Request, _ state: IndexedAuthorizer.State) {
        principal = Party(request.principal, in: state.entities)
        action = Party(request.action, in: state.entities)
        resource = Party(request.resource, in: state.entities)
        answer = Answer(decision: .deny, request: request, records: [], state: state)
    }

    private var entities: Entities {
        _read { yield answer.state.entities }
    }

    /// Asks every policy that may match, and decides.
    consuming func decide() -> Answer {
        let state = answer.state
        let candidates = state.policies.index.candidates(
            principal: principal.row.anchors, action: action.row.anchors, resource: resource.row.anchors)
        if candidates.count > 0 { answer.records.reserveCapacity(candidates.count) }
        var (isPermitted, isForbidden) = (false, false)
        for place in 0..<candidates.count {
            guard let policy = state.policies[candidates[place]], matches(policy.scope) else { continue }
            let end = run(policy.program)
            answer.records.append(Answer.Record(policy: policy, end: end))
            guard end == .holds else { continue }
            if policy.effect == .permit { isPermitted = true } else { isForbidden = true }
        }
        if isPermitted && !isForbidden { answer.decision = .allow }
        return answer
    }

    /// Whether the types are those that the scope of a candidate asks for.
    func matches(_ scope: IndexedScope) -> Bool {
        if let type = scope.principalType, type != principal.row.uid.type { return false }
        if let type = scope.resourceType, type != resource.row.uid.type { return false }
        return true
    }

    /// What a condition comes to.
    enum Truth { case yes, no, failed }

    /// How a program ends.
    enum End: Equatable, Sendable {
        case holds
        /// This clause does not hold.
        case clause(Int)
        case failed
    }

    private func run(_ program: Program) -> End {
        for number in program.clauses.indices {
            let clause = program.clauses[number]
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
        case .principal: return principal.operand
        case .action: return action.operand
        case .resource: return resource.operand
        case .attribute(let operand, let name): return attribute(program.names[Int(name)], of: operand, program)
        case .contextAttribute(let name):
            guard let value = answer.request.context.attributes[program.names[Int(name)].text] else { return .failed }
            return entities.operand(value)
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
        default: binary(.in, member, group).truth
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
        guard let left = entities.value(left), let right = entities.value(right) else { return .failed }
        let result = try? Operations.binary(operation, left, right, in: entities)
        return operand(result)
    }

    private func call(_ function: ExtensionFunction, _ argument: Operand) -> Operand {
        if function == .toTime, case .other(.datetime(let moment)) = argument { return .other(.duration(moment.time)) }
        guard let argument = entities.value(argument) else { return .failed }
        return operand(try? function([argument]))
    }

    private func call(_ function: ExtensionFunction, _ first: Operand, _ second: Operand) -> Operand {
        if function == .isInRange, case .other(.ip(let address)) = first, case .other(.ip(let range)) = second {
            return .bool(address.isInRange(range))
        }
        guard let first = entities.value(first), let second = entities.value(second) else { return .failed }
        return operand(try? function([first, second]))
    }

    private func evaluate(_ expression: Expression) -> Operand {
        operand(try? Evaluator(request: answer.request, entities: entities).value(of: expression))
    }

    private func operand(_ value: Value?) -> Operand {
        guard let value else { return .failed }
        return entities.operand(value)
    }
}

// MARK: - Attributes

extension Runner {
    private func attribute(_ name: AttributeName, of index: Program.NodeIndex, _ program: Program) -> Operand {
        switch program.nodes[Int(index)] {
        case .principal: return principal.row.value(name) ?? .failed
        case .resource: return resource.row.value(name) ?? .failed
        default: break
        }
        switch operand(index, program) {
        case .entity(let handle): return entities.row(handle).value(name) ?? .failed
        case .other(.record(let fields)):
            guard let value = fields[name.text] else { return .failed }
            return entities.operand(value)
        default: return .failed
        }
    }

    private func contextHas(_ path: Range<UInt32>, _ program: Program) -> Truth {
        guard let first = answer.request.context.attributes[program.names[Int(path.lowerBound)].text] else {
            return answer.request.context.isPartial ? .failed : .no
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
