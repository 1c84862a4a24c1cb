/// Decides requests over many policies and entities, at a cost that hardly grows with how many there are.
///
/// Gives the answers of an `Authorizer`. It is a value: a copy stays as it is while another changes, and one policy or
/// entity can be put in or taken out without the rest being read again. So one task may change its own and hand copies
/// to others, which never wait.
public struct IndexedAuthorizer: Sendable {
    private(set) var state: State

    /// All that a decision rests on.
    final class State: Sendable {
        let entities: Entities
        let policies: IndexedPolicies

        init(_ entities: Entities, _ policies: IndexedPolicies) {
            (self.entities, self.policies) = (entities, policies)
        }
    }

    public init(policies: PolicySet, entities: Entities) {
        var entities = entities
        var indexed = IndexedPolicies()
        for policy in policies.policies { indexed.insert(policy, &entities) }
        state = State(entities, indexed)
    }

    public var entities: Entities { state.entities }

    public var policyCount: Int { state.policies.count }

    /// The policy of that id, if there is one.
    public func policy(_ id: Policy.ID) -> Policy? { state.policies[id]?.policy }

    /// Puts a policy in, behind all others, also where it replaces one of the same id.
    public mutating func insert(_ policy: Policy) throws(PolicySetError) {
        guard policyCount < PolicySet.maximumPolicies || self.policy(policy.id) != nil else { throw .tooManyPolicies }
        change { policies, entities in
            policies.remove(policy.id, &entities)
            policies.insert(policy, &entities)
        }
    }

    public mutating func removePolicy(_ id: Policy.ID) {
        change { policies, entities in policies.remove(id, &entities) }
    }

    /// Puts an entity in, also where it replaces one of the same name.
    public mutating func insert(_ entity: Entity) throws(EntitiesError) {
        var entities = state.entities
        try entities.insert(entity)
        state = State(entities, state.policies)
    }

    public mutating func removeEntity(_ uid: EntityUID) {
        var entities = state.entities
        entities.remove(uid)
        state = State(entities, state.policies)
    }

    private mutating func change(_ change: (inout IndexedPolicies, inout Entities) -> Void) {
        var (policies, entities) = (state.policies, state.entities)
        change(&policies, &entities)
        state = State(entities, policies)
    }
}

extension IndexedAuthorizer {
    /// Decides, and keeps what explains the decision.
    public func decide(_ request: Request) -> Answer { state.decide(request) }

    /// Decides each of many requests, all by the same policies and entities.
    public func decide(_ requests: [Request]) -> [Answer] { requests.map(state.decide) }

    /// The policies whose scope matches, in their order.
    public func candidates(for request: Request) -> [Policy] {
        state.decide(request).records.map(\.policy.policy)
    }
}

extension IndexedAuthorizer.State {
    func decide(_ request: Request) -> Answer { Runner(request, self).decide() }
}
