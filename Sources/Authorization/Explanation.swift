import Cedar
package import Mesh

extension PolicySnapshot {
    /// Why a decision is as it is, in a few lines for a person.
    package func explain(
        agent: AgentName, action: MeshAction, service: ServiceName, now: Timestamp?
    ) -> String {
        let verb = action == .connect ? "connect" : "do `\(action)`"
        let question = "agent `\(agent)` may \(verb) to service `\(service)`"
        let denial = "denied: agent `\(agent)` may not \(verb) to service `\(service)`"
        switch decide(agent: agent, action: action, service: service, now: now).reason {
        case .permitted(let policies): return lines("allowed: \(question)", policies.map { "by \($0)" })
        case .forbidden(let policies): return lines("\(denial): a policy forbids it", policies.map { "by \($0)" })
        case .outsideWindow(let policies):
            return lines("\(denial) at this time", policies.map { "outside the time window of \($0)" })
        case .disabled(agent): return "\(denial): it is disabled"
        case .disabled(let crew): return "\(denial): agent `\(crew)` above it is disabled"
        case .unknownAgent: return "\(denial): there is no agent of that name"
        case .unknownService: return "\(denial): there is no service of that name"
        case .notPermitted:
            let request = Request(principal: agent.entity, action: action.entity, resource: service.entity)
            return lines("\(denial): no policy permits it", nearestPermits(to: request) + [advice(on: request)])
        }
    }

    private func lines(_ first: String, _ rest: [String]) -> String {
        ([first] + rest).joined(separator: "\n  ")
    }

    /// The permits that would match but for one thing, at most three; those for the same service come first.
    private func nearestPermits(to request: Request) -> [String] {
        let order: [Scope.Variable] = [.principal, .resource, .action]
        var near: [Scope.Variable: [String]] = [:]
        for policy in policies.policies where policy.effect == .permit {
            let mismatches = policy.scope.mismatches(request, in: entities)
            guard mismatches.count == 1, near[mismatches[0], default: []].count < 3 else { continue }
            guard let reference = references[policy.id] else { continue }
            near[mismatches[0], default: []].append("nearest: \(reference) permits \(policy.scope.phrase)")
        }
        return Array(order.flatMap { near[$0] ?? [] }.prefix(3))
    }

    private func advice(on request: Request) -> String {
        let scope = Scope(
            principal: .equal(request.principal), action: .equal(request.action), resource: .equal(request.resource))
        return "to allow it, add: permit \(scope);"
    }
}

extension Scope {
    /// The scope in words: `connect to Service::"ledger" for any agent in Group::"research"`.
    fileprivate var phrase: String {
        let actions =
            switch action {
            case .any: "everything"
            case .equal(let action): action.id
            case .within(let actions): actions.map(\.id).joined(separator: ", ")
            }
        return "\(actions) to \(resource.phrase(any: "service")) for \(principal.phrase(any: "agent"))"
    }
}

extension EntityConstraint {
    fileprivate func phrase(any noun: String) -> String {
        switch self {
        case .any: "any \(noun)"
        case .equal(let entity): "\(entity)"
        case .within(let entity): "any \(noun) in \(entity)"
        case .isType(let type): "any \(type)"
        case .isTypeWithin(let type, let entity): "any \(type) in \(entity)"
        }
    }
}
