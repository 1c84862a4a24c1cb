import Cedar
import Mesh

/// A mistake in a condition, and where.
struct ConditionProblem {
    let message: String
    let range: SourceRange?

    func hinting(at hint: String) -> ConditionProblem { ConditionProblem(message: message + hint, range: range) }
}

extension PolicySnapshot {
    /// The first thing that a policy's conditions ask for and that is not there: what fails whenever it is asked.
    ///
    /// - Parameter ofPackets: whether packets may ask the policy, which tell less than who starts an agent.
    func problem(withConditionsOf policy: Policy, ofPackets: Bool) -> ConditionProblem? {
        policy.conditions.lazy.compactMap { problem(with: $0.body, ofPackets) }.first
    }

    /// Deeper expressions first: they are what is wrong with those above.
    private func problem(with expression: Expression, _ ofPackets: Bool) -> ConditionProblem? {
        for child in expression.kind.children where !isKnownContext(child, in: expression) {
            if let problem = problem(with: child, ofPackets) { return problem }
        }
        return message(about: expression, ofPackets).map { ConditionProblem(message: $0, range: expression.range) }
    }

    /// Whether the child is `context`, of which the expression asks for something: then that is looked at instead.
    private func isKnownContext(_ child: Expression, in expression: Expression) -> Bool {
        switch expression.kind {
        case .attribute, .has: child.kind == .variable(.context)
        default: false
        }
    }

    private func message(about expression: Expression, _ ofPackets: Bool) -> String? {
        switch expression.kind {
        case .variable(.context) where ofPackets: PacketPlane.silence(about: nil)
        case .literal(.entity(let entity)): existing.contains(entity) ? nil : problem(with: entity)
        case .isType(_, let type, _): problem(withType: type)
        case .attribute(let operand, let name) where ofPackets: problem(with: name, of: operand)
        case .has(let operand, let names) where ofPackets: names.first.flatMap { problem(with: $0, of: operand) }
        case .binary(.hasTag, _, _) where ofPackets, .binary(.getTag, _, _) where ofPackets:
            "no entity of a mesh has tags of that kind"
        case .call(let function, let arguments): function.problem(with: arguments)
        default: nil
        }
    }

    private func problem(with name: Text, of operand: Expression) -> String? {
        if operand.kind == .variable(.context) {
            return name == MeshSchema.clock ? nil : PacketPlane.silence(about: name)
        }
        guard let type = MeshSchema.type(of: operand), MeshSchema.attributes[type]?[name] == nil else { return nil }
        return "an entity of type `\(type)` has no attribute `\(name)`"
    }
}

extension MeshSchema {
    /// The type of the entity that an expression gives; nil if it is none, or cannot be told.
    fileprivate static func type(of expression: Expression) -> EntityType? {
        switch expression.kind {
        case .variable(.principal): return agent
        case .variable(.resource): return service
        case .variable(.action): return action
        case .literal(.entity(let entity)): return entity.type
        case .attribute(let operand, let name):
            guard let type = type(of: operand), let held = attributes[type]?[name] else { return nil }
            return held
        default: return nil
        }
    }
}

extension ExtensionFunction {
    /// Why a constructor fails on the literal that it is given.
    fileprivate func problem(with arguments: [Expression]) -> String? {
        guard arguments.count == argumentCount else {
            return "`\(rawValue)` takes \(argumentCount) arguments with the value it is called on"
        }
        guard isConstructor, case .literal(let literal) = arguments[0].kind else { return nil }
        do throws(EvaluationError) {
            _ = try self([literal])
            return nil
        } catch { return "\(error.reason)" }
    }
}
