import Cedar
import Mesh

extension PolicySnapshot {
    /// Refuses policies that cannot do what they say, for when they are written: a forbid with a misspelt name would
    /// let everything through.
    package func check() throws(AuthorizationError) {
        var problems: [AuthorizationError.Problem] = []
        let invalid = invalidPolicies(among: policies)
        for policy in policies.policies {
            // What is known of the mesh makes the better sentence.
            guard let reference = references[policy.id],
                let problem = problem(with: policy) ?? invalid[policy.id].map({ $0.hinting(at: hint(for: policy)) })
            else { continue }
            problems.append(
                AuthorizationError.Problem(
                    document: reference.document, line: problem.range?.start.line ?? reference.line,
                    column: problem.range?.start.column ?? reference.column,
                    message: "policy `\(reference.id)`: \(problem.message)", excerpt: nil))
            if problems.count == AuthorizationError.maximumProblems { break }
        }
        guard problems.isEmpty else { throw .policies(problems) }
    }

    /// What types do not go together in may be asked by a kind of request that was not thought of.
    private func hint(for policy: Policy) -> String {
        let isAsked = Question.all.allSatisfy { $0.problem(with: policy.scope, in: entities) == nil }
        let example = "`action == \(MeshAction.connect.entity)`"
        return isAsked ? "; it is asked of connections and of launches, so name the action, as in \(example)" : ""
    }

    private func problem(with policy: Policy) -> ConditionProblem? {
        problem(withScopeOf: policy).map { ConditionProblem(message: $0, range: nil) }
            ?? problem(
                withConditionsOf: policy,
                ofPackets: Question.connect.problem(with: policy.scope, in: entities) == nil)
    }

    private func problem(withScopeOf policy: Policy) -> String? {
        if let unknown = policy.annotations.first(where: { $0.key != "id" }) {
            return Self.problem(withAnnotation: unknown.key, of: policy.effect)
        }
        return policy.scope.types.lazy.compactMap(problem(withType:)).first
            ?? policy.scope.entities.lazy.compactMap(problem(with:)).first
            ?? problem(withMatchOf: policy.scope)
    }

    /// Annotations that let a forbid through in part. To tools that do not know them such a policy is stricter; on a
    /// permit they would read it as looser than it is meant.
    private static let softening: Set<String> = ["mask", "rate", "observe"]

    private static func problem(withAnnotation key: String, of effect: Effect) -> String {
        guard softening.contains(key) else { return "there is no annotation `@\(key)` here, only `@id`" }
        return effect == .permit
            ? "`@\(key)` may only soften a `forbid`: whoever does not know it would let this permit do more"
            : "nothing here does what `@\(key)` says: packets pass or do not"
    }

    func problem(withType type: EntityType) -> String? {
        MeshSchema.types.contains(type) ? nil : "there is no entity type `\(type)` in a mesh"
    }

    func problem(with entity: EntityUID) -> String? {
        if existing.contains(entity) { return nil }
        return switch entity.type {
        case MeshSchema.agent: "there is no agent `\(entity)`"
        case MeshSchema.group: "no agent is in the group `\(entity)`"
        case MeshSchema.user: "nobody is known as `\(entity)`: people are admins, and the owners of agents"
        case MeshSchema.node: "there is no node `\(entity)`"
        case MeshSchema.service: "there is no service `\(entity)`"
        case MeshSchema.tag: "no service bears the tag `\(entity)`"
        case MeshSchema.action: "there is no action `\(entity)`"
        default: "there is no entity type `\(entity.type)` in a mesh"
        }
    }

    /// What nobody asks, nothing enforces; such a policy would only seem to hold.
    private func problem(withMatchOf scope: Scope) -> String? {
        let asked = Question.all.filter { scope.action.matches($0.action.entity, in: entities) }
        let problems = asked.map { $0.problem(with: scope, in: entities) }
        guard let first = problems.first else {
            let actions = Question.all.map { "`\($0.action.entity)`" }.joined(separator: " and ")
            return "nothing asks for such an action in this version, only for \(actions)"
        }
        return problems.contains(nil) ? nil : first
    }
}

/// A kind of request that is made here, with the types of what it is about and of what that is in.
private struct Question {
    let action: MeshAction
    let principals: [(type: EntityType, group: EntityType)]
    let resource: (type: EntityType, group: EntityType)

    static let connect = Question(
        action: .connect, principals: [(MeshSchema.agent, MeshSchema.group)],
        resource: (MeshSchema.service, MeshSchema.tag))
    static let launch = Question(
        action: .launch, principals: [(MeshSchema.node, MeshSchema.tag), (MeshSchema.user, MeshSchema.user)],
        resource: (MeshSchema.agent, MeshSchema.group))
    static let all = [connect, launch]

    /// Why no request of this kind can match.
    func problem(with scope: Scope, in entities: Entities) -> String? {
        guard scope.action.matches(action.entity, in: entities) else { return "the action is another" }
        let types = principals.map(\.type)
        let principals = principals.map {
            scope.principal.problem(as: "principal", type: $0.type, group: $0.group, among: types)
        }
        return (principals.contains(nil) ? nil : principals.first ?? nil)
            ?? scope.resource.problem(
                as: "resource", type: resource.type, group: resource.group, among: [resource.type])
    }
}

extension EntityConstraint {
    /// Why no request can match, when each has an entity of `type` here, in groups of `group`.
    fileprivate func problem(
        as variable: String, type: EntityType, group: EntityType, among types: [EntityType]
    ) -> String? {
        let either = types.map { "`\($0)`" }.joined(separator: " or ")
        let never = "can never match: the \(variable) of every request is of type \(either)"
        if case .equal(let entity) = self, entity.type == group, group != type {
            return "\(never), so write `\(variable) in \(entity)`"
        }
        if case .equal(let entity) = self, entity.type != type { return never }
        if case .isType(let other) = self, other != type { return never }
        if case .isTypeWithin(let other, _) = self, other != type { return never }
        if let anchor, anchor.type != type, anchor.type != group { return "\(never), and in groups of type `\(group)`" }
        return nil
    }

    fileprivate var anchor: EntityUID? {
        switch self {
        case .equal(let entity), .within(let entity), .isTypeWithin(_, let entity): entity
        case .any, .isType: nil
        }
    }

    fileprivate var type: EntityType? {
        switch self {
        case .isType(let type), .isTypeWithin(let type, _): type
        case .any, .equal, .within: nil
        }
    }
}

extension Scope {
    /// Every type named in it.
    fileprivate var types: [EntityType] { [principal.type, resource.type].compactMap { $0 } + entities.map(\.type) }

    /// Every entity named in it.
    fileprivate var entities: [EntityUID] {
        let actions: [EntityUID] =
            switch action {
            case .any: []
            case .equal(let action): [action]
            case .within(let actions): actions
            }
        return [principal.anchor].compactMap { $0 } + actions + [resource.anchor].compactMap { $0 }
    }
}
