import Cedar
package import Mesh

/// Whether an agent may do something to a service, and why.
package struct Decision: Equatable, Sendable {
    package enum Reason: Equatable, Sendable {
        /// These policies permit it and none forbids it.
        case permitted([PolicyReference])
        /// These policies forbid it.
        case forbidden([PolicyReference])
        case notPermitted
        /// These policies permit it at other times.
        case outsideWindow([PolicyReference])
        /// The agent, or the crew it stands below, is disabled, whatever the policies say.
        case disabled(AgentName)
        case unknownAgent
        case unknownService
    }

    package let reason: Reason

    package var isAllowed: Bool { if case .permitted = reason { true } else { false } }

    /// The policies that made the decision; none when it needed none.
    package var policies: [PolicyReference] {
        switch reason {
        case .permitted(let policies), .forbidden(let policies): policies
        case .notPermitted, .outsideWindow, .disabled, .unknownAgent, .unknownService: []
        }
    }
}

extension PolicySnapshot {
    /// Decides for the moment `now`, nil if the time is not known.
    package func decide(
        agent: AgentName, action: MeshAction, service: ServiceName, now: Timestamp?
    ) -> Decision {
        guard agents[agent] != nil else { return Decision(reason: .unknownAgent) }
        guard services[service] != nil else { return Decision(reason: .unknownService) }
        if let disabled = disabledAgent(atOrAbove: agent) { return Decision(reason: .disabled(disabled)) }
        let judgements = judgements(on: Request(agent, action, service, now: now))
        let counting = judgements.filter(\.counts)
        let forbids = counting.filter { $0.policy.effect == .forbid }.map(\.reference)
        guard forbids.isEmpty else { return Decision(reason: .forbidden(forbids)) }
        guard counting.isEmpty else { return Decision(reason: .permitted(counting.map(\.reference))) }
        let outside = judgements.filter(\.isOutsideWindow).map(\.reference)
        return Decision(reason: outside.isEmpty ? .notPermitted : .outsideWindow(outside))
    }

    func disabledAgent(atOrAbove agent: AgentName) -> AgentName? {
        var name: AgentName? = agent
        while let current = name {
            if agents[current]?.disabled == true { return current }
            name = current.parent
        }
        return nil
    }
}
