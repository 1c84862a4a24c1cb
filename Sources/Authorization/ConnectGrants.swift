import Cedar
package import Mesh

/// What some agents may connect to, and when to ask again.
package struct ConnectGrants: Equatable, Sendable {
    /// Sorted by agent and service.
    package let grants: [Grant]
    /// The moment at which the grants may be others, also where nothing is granted yet; nil where time changes nothing.
    package let nextChange: Timestamp?

    package static let none = ConnectGrants(grants: [], nextChange: nil)
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

        var permits: [Pair: [PolicyReference]] = [:]
        var forbidden: Set<Pair> = []
        for policy in policies.policies where policy.scope.action.matches(MeshAction.connect.entity, in: entities) {
            guard let reference = references[policy.id] else { continue }
            let matching = resources.positions(of: policy.scope.resource)
            for agent in principals.positions(of: policy.scope.principal) {
                for service in matching {
                    let pair = Pair(agent: agent, service: service)
                    switch policy.effect {
                    case .permit: permits[pair, default: []].append(reference)
                    case .forbid: forbidden.insert(pair)
                    }
                }
            }
        }
        let grants = permits.keys.filter { !forbidden.contains($0) }.sorted().map { pair in
            Grant(agent: agents[pair.agent], service: services[pair.service], policies: permits[pair] ?? [])
        }
        return ConnectGrants(grants: grants, nextChange: nil)
    }
}

/// Positions in the sorted agents and services.
private struct Pair: Hashable, Comparable {
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
