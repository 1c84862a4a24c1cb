import Cedar
package import Mesh

/// Which agents may ever be granted which services: what a node may need to know of, whatever time it is.
///
/// It follows the definitions change by change, at the cost of what the change matches. A condition may hold one day,
/// so a permit counts with or without one, and a forbid only without; whether an agent is disabled does not count.
/// So this says more than `decide` ever allows, and is for pruning: only `PolicySnapshot` makes a grant.
package struct ConnectReach: Sendable {
    private var permits = Rules()
    private var forbids = Rules()
    private var agents = Members<AgentName>()
    private var services = Members<ServiceName>()
    private var groups: [AgentName: Set<GroupName>] = [:]
    private var documents: [PolicyName: [Rule]] = [:]

    package init() {}

    /// Defines a document of policies, or removes it with nil; says whose reach may be another.
    package mutating func set(_ name: PolicyName, scopes: Scopes?) -> Set<AgentName> {
        let old = documents[name] ?? []
        let new = scopes?.rules ?? []
        documents[name] = new.isEmpty ? nil : new
        var principals: Set<Target> = []
        for rule in old where change(rule.effect, { $0.remove(rule) }) { principals.insert(rule.principal) }
        for rule in new where change(rule.effect, { $0.add(rule) }) { principals.insert(rule.principal) }
        return principals.reduce(into: []) { $0.formUnion(agents.matching($1) { $0.entity }) }
    }

    /// What the policies of a document speak about.
    package struct Scopes: Sendable {
        fileprivate let rules: [Rule]

        package init(of document: PolicyDocument) throws(AuthorizationError) {
            let snapshot = try PolicySnapshot(policies: [document], agents: [], services: [], nodes: [])
            rules = snapshot.policies.policies.compactMap { policy in
                // A forbid with a condition may not hold one day.
                guard policy.effect == .permit || policy.conditions.isEmpty else { return nil }
                guard policy.scope.action.matches(MeshAction.connect.entity, in: snapshot.entities) else { return nil }
                return Rule(policy)
            }
        }
    }

    private mutating func change(_ effect: Effect, _ change: (inout Rules) -> Bool) -> Bool {
        switch effect {
        case .permit: change(&permits)
        case .forbid: change(&forbids)
        }
    }

    /// Defines an agent, or removes it with nil; says whose reach may be another: its own, and that of those below it.
    package mutating func set(_ name: AgentName, groups new: Set<GroupName>?) -> [AgentName] {
        guard groups[name] != new else { return [] }
        groups[name] = new
        if new == nil { agents.remove(name) }
        let touched = agents.names(within: name.entity).filter { $0 != name } + (new == nil ? [] : [name])
        for agent in touched { agents.set(agent, to: entities(of: agent)) }
        return touched
    }

    /// Defines a service, or removes it with nil.
    package mutating func set(_ name: ServiceName, tags: Set<TagName>?) {
        guard let tags else { return services.remove(name) }
        services.set(name, to: Set(tags.map(\.entity)).union([name.entity]))
    }

    package func services(for agent: AgentName) -> Set<ServiceName> {
        guard let own = agents[agent] else { return [] }
        var found: Set<ServiceName> = []
        for target in permits.resources(for: agent.entity, within: own) {
            found.formUnion(services.matching(target) { $0.entity })
        }
        guard !found.isEmpty else { return [] }
        let forbidden = Set(forbids.resources(for: agent.entity, within: own))
        return found.filter { !forbidden.matches($0.entity, within: services[$0] ?? []) }
    }

    package func agents(for service: ServiceName) -> Set<AgentName> {
        guard let own = services[service] else { return [] }
        var found: Set<AgentName> = []
        for target in permits.principals(for: service.entity, within: own) {
            found.formUnion(agents.matching(target) { $0.entity })
        }
        guard !found.isEmpty else { return [] }
        let forbidden = Set(forbids.principals(for: service.entity, within: own))
        return found.filter { !forbidden.matches($0.entity, within: agents[$0] ?? []) }
    }

    /// The agent, those above it, and the groups of all of them.
    private func entities(of agent: AgentName) -> Set<EntityUID> {
        var all: Set<EntityUID> = []
        for name in sequence(first: agent, next: \.parent) {
            all.insert(name.entity)
            all.formUnion((groups[name] ?? []).map(\.entity))
        }
        return all
    }
}

/// What one variable of a scope asks for, where anything can fulfil it.
private enum Target: Hashable, Sendable {
    case any
    case itself(EntityUID)
    case within(EntityUID)

    init?(_ constraint: EntityConstraint, type: EntityType) {
        switch constraint {
        case .any: self = .any
        case .isType(let other):
            guard other == type else { return nil }
            self = .any
        case .equal(let entity): self = .itself(entity)
        case .within(let entity): self = .within(entity)
        case .isTypeWithin(let other, let entity):
            guard other == type else { return nil }
            self = .within(entity)
        }
    }
}

extension Set<Target> {
    fileprivate func matches(_ entity: EntityUID, within all: Set<EntityUID>) -> Bool {
        contains(.any) || contains(.itself(entity)) || all.contains { contains(.within($0)) }
    }
}

/// What a policy asks for.
private struct Rule: Sendable {
    let effect: Effect
    let principal: Target
    let resource: Target

    init?(_ policy: Policy) {
        guard let principal = Target(policy.scope.principal, type: MeshSchema.agent),
            let resource = Target(policy.scope.resource, type: MeshSchema.service)
        else { return nil }
        (self.effect, self.principal, self.resource) = (policy.effect, principal, resource)
    }
}

/// The scopes of some policies, by what each variable asks for.
private struct Rules: Sendable {
    private var byPrincipal: [Target: Set<Target>] = [:]
    private var byResource: [Target: Set<Target>] = [:]
    /// How often the same scope stands in the policies.
    private var counts: [Pair: Int] = [:]

    private struct Pair: Hashable, Sendable {
        let principal: Target
        let resource: Target
    }

    /// Whether that makes a difference.
    mutating func add(_ rule: Rule) -> Bool {
        counts[Pair(principal: rule.principal, resource: rule.resource), default: 0] += 1
        return byPrincipal[rule.principal, default: []].insert(rule.resource).inserted
            && byResource[rule.resource, default: []].insert(rule.principal).inserted
    }

    /// Whether that makes a difference.
    mutating func remove(_ rule: Rule) -> Bool {
        let pair = Pair(principal: rule.principal, resource: rule.resource)
        let count = (counts[pair] ?? 0) - 1
        counts[pair] = count > 0 ? count : nil
        guard count <= 0 else { return false }
        byPrincipal[rule.principal]?.remove(rule.resource)
        if byPrincipal[rule.principal]?.isEmpty == true { byPrincipal[rule.principal] = nil }
        byResource[rule.resource]?.remove(rule.principal)
        if byResource[rule.resource]?.isEmpty == true { byResource[rule.resource] = nil }
        return true
    }

    func resources(for principal: EntityUID, within all: Set<EntityUID>) -> some Sequence<Target> {
        Self.targets(byPrincipal, principal, all)
    }

    func principals(for resource: EntityUID, within all: Set<EntityUID>) -> some Sequence<Target> {
        Self.targets(byResource, resource, all)
    }

    private static func targets(
        _ rules: [Target: Set<Target>], _ entity: EntityUID, _ all: Set<EntityUID>
    ) -> Set<Target> {
        var found = rules[.any] ?? []
        found.formUnion(rules[.itself(entity)] ?? [])
        for group in all { found.formUnion(rules[.within(group)] ?? []) }
        return found
    }
}

/// Agents or services, by the entities that each of them is or belongs to.
private struct Members<Name: Hashable & Sendable>: Sendable {
    private var entities: [Name: Set<EntityUID>] = [:]
    private var names: [EntityUID: Set<Name>] = [:]

    subscript(name: Name) -> Set<EntityUID>? { entities[name] }

    mutating func set(_ name: Name, to new: Set<EntityUID>) {
        let old = entities.updateValue(new, forKey: name) ?? []
        for entity in old.subtracting(new) { leave(entity, name) }
        for entity in new.subtracting(old) { names[entity, default: []].insert(name) }
    }

    mutating func remove(_ name: Name) {
        for entity in entities.removeValue(forKey: name) ?? [] { leave(entity, name) }
    }

    private mutating func leave(_ entity: EntityUID, _ name: Name) {
        names[entity]?.remove(name)
        if names[entity]?.isEmpty == true { names[entity] = nil }
    }

    func names(within entity: EntityUID) -> Set<Name> { names[entity] ?? [] }

    func matching(_ target: Target, entity own: (Name) -> EntityUID) -> Set<Name> {
        switch target {
        case .any: Set(entities.keys)
        case .itself(let entity): names(within: entity).filter { own($0) == entity }
        case .within(let entity): names(within: entity)
        }
    }
}
