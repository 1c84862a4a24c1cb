import Authorization
import Mesh

/// What policy grants, kept from plan to plan.
///
/// A session that starts or ends asks about its own agent at most. All is asked anew when a policy, an agent, a
/// service or a node changed, when time is due to change something, and when the time becomes known or unknown.
struct KnownGrants: Sendable {
    private var basis: Basis?
    private var agents: Set<AgentName> = []
    private var answer = ConnectGrants.none
    private var askedAt: Timestamp?

    private struct Basis: Equatable, Sendable {
        let policies: [PolicyName: PolicyDocument]
        let agents: [AgentName: AgentDefinition]
        let services: [ServiceName: ServiceDefinition]
        let nodes: Set<NodeName>
        let isTimeKnown: Bool
    }

    /// The grants of all agents that have a session, and perhaps of some that had one.
    mutating func grants(in map: NetworkMap, by policy: PolicySnapshot?, now: Timestamp?) -> ConnectGrants {
        guard let policy else {
            self = KnownGrants()
            return .none
        }
        let basis = Basis(
            policies: map.policies, agents: map.agents, services: map.services, nodes: Set(map.nodes.keys),
            isTimeKnown: now != nil)
        let wanted = Set(map.sessions.values.map(\.agent))
        if basis != self.basis || isDue(now) {
            self.basis = basis
            agents = []
            answer = .none
            askedAt = now
        }
        let fresh = wanted.subtracting(agents)
        guard !fresh.isEmpty else { return answer }
        let more = policy.connectGrants(for: fresh.sorted(), services: map.services.keys.sorted(), now: now)
        agents.formUnion(fresh)
        answer = answer.joined(with: more)
        return answer
    }

    private func isDue(_ now: Timestamp?) -> Bool {
        guard let now, let askedAt else { return false }
        // A clock that was set back makes every earlier answer doubtful.
        return now < askedAt || answer.nextChange.map { now >= $0 } ?? false
    }
}
