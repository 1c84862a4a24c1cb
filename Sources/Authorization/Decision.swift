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
        let request = Request(principal: agent.entity, action: action.entity, resource: service.entity)
        let response = Authorizer(policies: policies, entities: entities).authorize(request)
        let determining = response.determining.compactMap { references[$0.id] }
        return switch response.decision {
        case .allow: Decision(reason: .permitted(determining))
        case .deny: Decision(reason: determining.isEmpty ? .notPermitted : .forbidden(determining))
        }
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
