/// Decides as far as it can for one kind of request, and says what is left to ask.
///
/// What is left is simplified by types: the policies are strictly valid, so that nothing fails by a wrong type. Cedar
/// docs, _Partial evaluation_, and RFC 95.
public struct PartialAuthorizer: Sendable {
    public let schema: Schema
    public let action: EntityUID
    public let principal: EntityType
    public let resource: EntityType
    private let prepared: [PreparedPolicy]
    /// Places of the policies for one principal or for a group of them; nil for those of any.
    private let byPrincipal: [EntityUID?: [Int]]
    private let byResource: [EntityUID?: [Int]]

    /// - Throws: if the policies are not valid, or the action does not apply to the types.
    public init(
        policies: PolicySet, schema: Schema, principal: EntityType, action: EntityUID, resource: EntityType
    ) throws(PartialError) {
        guard let definition = schema.actions[action], definition.principals.contains(principal),
            definition.resources.contains(resource)
        else { throw .invalidRequest(action) }
        (self.schema, self.action, self.principal, self.resource) = (schema, action, principal, resource)
        let environment = RequestEnvironment(
            principal: principal, action: action, resource: resource, context: definition.context)
        var prepared: [PreparedPolicy] = []
        var errors: [ValidationError] = []
        for policy in policies.policies where policy.scope.action.matches(definition) {
            guard policy.scope.principal.mayMatch(principal, schema), policy.scope.resource.mayMatch(resource, schema)
            else { continue }
            var checker = Typechecker(schema: schema, mode: .strict, environment: environment, policy: policy.id)
            let condition = ValidatedPolicy(policy).conditionAlone
            prepared.append(PreparedPolicy(policy: policy, condition: checker.expect([.bool], condition, []).typed))
            errors += checker.errors
        }
        guard errors.isEmpty else { throw .invalidPolicies(errors) }
        self.prepared = prepared
        byPrincipal = Dictionary(grouping: prepared.indices) { prepared[$0].policy.scope.principal.anchor }
        byResource = Dictionary(grouping: prepared.indices) { prepared[$0].policy.scope.resource.anchor }
    }

    /// The policies whose scope may match what is known, in their order.
    private func candidates(_ principal: EntityUID?, _ resource: EntityUID?, in entities: Entities) -> [Int] {
        func places(_ uid: EntityUID, _ filed: [EntityUID?: [Int]]) -> [Int] {
            var found = (filed[nil] ?? []) + (filed[uid] ?? [])
            for group in entities.ancestors(of: uid) { found += filed[group] ?? [] }
            return found.sorted()
        }
        // The evaluator asks the rest, so one of the two is enough.
        if let principal { return places(principal, byPrincipal) }
        if let resource { return places(resource, byResource) }
        return Array(prepared.indices)
    }

    /// - Parameter entities: all there are; only of the unknown principal and resource nothing is asked.
    public func authorize(_ request: PartialRequest, in entities: Entities) -> PartialResponse {
        let known = (
            principal: request.principal.map { EntityUID(type: principal, id: $0) },
            resource: request.resource.map { EntityUID(type: resource, id: $0) }
        )
        let evaluator = PartialEvaluator(
            schema: schema, entities: entities, context: request.context, principal: known.principal,
            principalType: principal, action: action, resource: known.resource, resourceType: resource)
        var (matching, failing): ([Policy], [Policy]) = ([], [])
        var (residuals, origins): ([Policy], [Policy]) = ([], [])
        for place in candidates(known.principal, known.resource, in: entities) {
            let prepared = prepared[place]
            switch evaluator.outcome(of: prepared) {
            case .value(.bool(true)): matching.append(prepared.policy)
            case .value: break
            case .failure: failing.append(prepared.policy)
            case .residual(let condition):
                let policy = prepared.policy
                residuals.append(
                    Policy(
                        id: policy.id, annotations: policy.annotations, effect: policy.effect,
                        scope: Scope(principal: .any, action: .any, resource: .any),
                        conditions: [Condition(.when, condition)], range: policy.range))
                origins.append(policy)
            }
        }
        return PartialResponse(matching: matching, failing: failing, residuals: residuals, origins: origins)
    }
}

/// A policy whose condition has its types for one kind of request.
struct PreparedPolicy: Sendable {
    let policy: Policy
    let condition: TypedExpression
    /// What the scope asks of a principal that is not known, but for its type; nil if nothing.
    let principalQuestion: Expression?
    let resourceQuestion: Expression?

    init(policy: Policy, condition: TypedExpression) {
        (self.policy, self.condition) = (policy, condition)
        principalQuestion = policy.scope.principal.question(of: .principal)
        resourceQuestion = policy.scope.resource.question(of: .resource)
    }
}

extension ActionConstraint {
    /// Whether the action is one that the scope asks for; the schema tells all its groups.
    fileprivate func matches(_ action: ActionDefinition) -> Bool {
        switch self {
        case .any: true
        case .equal(let wanted): wanted == action.uid
        case .within(let groups): groups.contains { $0 == action.uid || action.ancestors.contains($0) }
        }
    }
}

extension EntityConstraint {
    /// The entity or group that it asks for, if any.
    fileprivate var anchor: EntityUID? {
        switch self {
        case .any, .isType: nil
        case .equal(let entity), .within(let entity), .isTypeWithin(_, let entity): entity
        }
    }

    fileprivate func mayMatch(_ type: EntityType, _ schema: Schema) -> Bool {
        switch self {
        case .any: true
        case .equal(let entity): entity.type == type
        case .within(let group): schema.types(within: group.type).contains(type)
        case .isType(let wanted): wanted == type
        case .isTypeWithin(let wanted, let group):
            wanted == type && schema.types(within: group.type).contains(type)
        }
    }
}
