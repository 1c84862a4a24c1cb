import Cedar
package import Mesh

/// What some agents may connect to, and when to ask again.
package struct ConnectGrants: Equatable, Sendable {
    /// Sorted by agent and service.
    package let grants: [Grant]
    /// The moment at which the grants may be others, also where nothing is granted yet; nil where time changes nothing.
    package let nextChange: Timestamp?

    package static let none = ConnectGrants(grants: [], nextChange: nil)

    /// With what other agents may do.
    package func joined(with others: ConnectGrants) -> ConnectGrants {
        let all = (grants + others.grants).sorted { ($0.agent, $0.service) < ($1.agent, $1.service) }
        return ConnectGrants(grants: all, nextChange: [nextChange, others.nextChange].compactMap(\.self).min())
    }
}

extension PolicySnapshot {
    /// What the policies permit these agents to connect to at the moment `now`, nil if the time is not known.
    ///
    /// Says what `decide` says of every pair, at the cost of what the policies match and not of all pairs.
    package func connectGrants(
        for agents: some Sequence<AgentName>, services: some Sequence<ServiceName>, now: Timestamp?
    ) -> ConnectGrants {
        let agents = Set(agents).filter { self.agents[$0] != nil && disabledAgent(atOrAbove: $0) == nil }.sorted()
        let services = Set(services).filter { self.services[$0] != nil }.sorted()
        var principals = Matches(agents.map(\.entity), in: entities)
        var resources = Matches(services.map(\.entity), in: entities)

        let pairs = Pairs(policies.policies, principals: &principals, resources: &resources, entities)
        var timetable = Timetable(of: self, agents: agents.map(\.entity), services: services.map(\.entity))
        var grants: [Grant] = []
        var next: Timestamp?
        for pair in pairs.permits.keys.sorted() where !pairs.forbidden.contains(pair) {
            let (state, until) = timetable.course(of: pairs.policies(of: pair), for: pair, from: now)
            next = earlier(next, state.until)
            guard !state.permits.isEmpty else { continue }
            let permits = state.permits.compactMap { references[policies.policies[$0].id] }
            grants.append(
                Grant(agent: agents[pair.agent], service: services[pair.service], policies: permits, until: until))
        }
        // A policy that oscillates must not keep us busy: `until` is what cuts in time.
        let soonest = now.map { $0 + .milliseconds(100) }
        return ConnectGrants(grants: grants, nextChange: next.map { moment in max(moment, soonest ?? moment) })
    }
}

/// Which policies speak about which pairs of an agent and a service, as far as scopes tell.
private struct Pairs {
    /// Positions of policies.
    private(set) var permits: [Pair: [Int]] = [:]
    /// Those with conditions.
    private var forbids: [Pair: [Int]] = [:]
    /// What is forbidden under all conditions.
    private(set) var forbidden: Set<Pair> = []

    init(_ policies: [Policy], principals: inout Matches, resources: inout Matches, _ entities: Entities) {
        for (position, policy) in policies.enumerated()
        where policy.scope.action.matches(MeshAction.connect.entity, in: entities) {
            let matching = resources.positions(of: policy.scope.resource)
            for agent in principals.positions(of: policy.scope.principal) {
                for service in matching {
                    let pair = Pair(agent: agent, service: service)
                    switch (policy.effect, policy.conditions.isEmpty) {
                    case (.permit, _): permits[pair, default: []].append(position)
                    case (.forbid, true): forbidden.insert(pair)
                    case (.forbid, false): forbids[pair, default: []].append(position)
                    }
                }
            }
        }
    }

    func policies(of pair: Pair) -> [Int] { (permits[pair] ?? []) + (forbids[pair] ?? []) }
}

/// Positions in the sorted agents and services.
struct Pair: Hashable, Comparable {
    let agent: Int
    let service: Int

    static func < (left: Pair, right: Pair) -> Bool {
        (left.agent, left.service) < (right.agent, right.service)
    }
}

/// Which of some entities match a constraint, without asking each of them for each constraint.
private struct Matches {
    private let candidates: [EntityUID]
    private let entities: Entities
    /// Positions of the candidates that are an entity or in it.
    private var members: [EntityUID: [Int]] = [:]
    private var known: [EntityConstraint: [Int]] = [:]

    init(_ candidates: [EntityUID], in entities: Entities) {
        self.candidates = candidates
        self.entities = entities
        for (position, candidate) in candidates.enumerated() {
            members[candidate, default: []].append(position)
            for ancestor in entities.ancestors(of: candidate) { members[ancestor, default: []].append(position) }
        }
    }

    mutating func positions(of constraint: EntityConstraint) -> [Int] {
        if let positions = known[constraint] { return positions }
        let near: [Int] =
            switch constraint {
            case .any, .isType: Array(candidates.indices)
            case .equal(let entity), .within(let entity), .isTypeWithin(_, let entity): members[entity] ?? []
            }
        let positions = near.filter { constraint.matches(candidates[$0], in: entities) }
        known[constraint] = positions
        return positions
    }
}
