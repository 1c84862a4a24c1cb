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
        let request = Request(agent, action, service, now: now)
        switch decide(agent: agent, action: action, service: service, now: now).reason {
        case .permitted: return lines("allowed: \(question)", bylines(of: .permit, on: request))
        case .forbidden: return lines("\(denial): a policy forbids it", bylines(of: .forbid, on: request))
        case .outsideWindow:
            return lines("\(denial) at this time", judgements(on: request).compactMap { silence($0, request) })
        case .disabled(agent): return "\(denial): it is disabled"
        case .disabled(let crew): return "\(denial): agent `\(crew)` above it is disabled"
        case .unknownAgent: return "\(denial): there is no agent of that name"
        case .unknownService: return "\(denial): there is no service of that name"
        case .notPermitted:
            let silent = judgements(on: request).compactMap { silence($0, request) }
            return lines(
                "\(denial): no policy permits it", silent + nearestPermits(to: request) + [advice(on: request)])
        }
    }

    /// The same in one line, for a log. Nil where it is allowed.
    package func denial(
        agent: AgentName, action: MeshAction, service: ServiceName, now: Timestamp?
    ) -> String? {
        let request = Request(agent, action, service, now: now)
        switch decide(agent: agent, action: action, service: service, now: now).reason {
        case .permitted: return nil
        case .forbidden(let policies): return "\(policies.map(\.description).joined(separator: ", ")) forbids it"
        case .disabled(let name): return "agent `\(name)` is disabled"
        case .unknownAgent, .unknownService: return "the mesh does not know one of them"
        case .outsideWindow(let policies):
            let windows = judgements(on: request).filter(\.isOutsideWindow).compactMap { silence($0, request) }
            return windows.first ?? "outside the time window of \(policies.map(\.description).joined(separator: ", "))"
        case .notPermitted:
            let silent = judgements(on: request).lazy.compactMap { silence($0, request) }.first
            return "no policy permits it" + (silent.map { ": \($0)" } ?? "")
        }
    }

    private func bylines(of effect: Effect, on request: Request) -> [String] {
        judgements(on: request).filter { $0.counts && $0.policy.effect == effect }.map { byline($0, request) }
    }

    private func byline(_ judgement: Judgement, _ request: Request) -> String {
        if case .fails(let error) = judgement.stable.verdict {
            return "by \(judgement.reference), which cannot be decided: \(reason(of: error))"
        }
        let until = end(of: judgement, on: request).map { ", until \($0)" } ?? ""
        return "by \(judgement.reference)\(until)"
    }

    /// Why a permit whose scope matches permits nothing; nil if it does, or is none.
    private func silence(_ judgement: Judgement, _ request: Request) -> String? {
        guard judgement.policy.effect == .permit else { return nil }
        switch judgement.stable.verdict {
        case .holds: return nil
        case .holdsNot where judgement.isOutsideWindow:
            let opening = opening(of: judgement, on: request).map { ", which opens at \($0)" } ?? ""
            return "outside the time window of \(judgement.reference)\(opening)"
        case .holdsNot:
            return causes(of: judgement.policy, request).map { "\(judgement.reference) permits nothing: \($0)" }
                ?? "the condition of \(judgement.reference) does not hold"
        case .fails(let error): return "\(judgement.reference) permits nothing: \(reason(of: error))"
        }
    }

    /// What in its conditions keeps a permit from applying.
    private func causes(of policy: Policy, _ request: Request) -> String? {
        let obstacles = index.decide(request).explanation.obstacles
        return obstacles.first { $0.policy.id == policy.id }.map { obstacle in
            let place = obstacle.condition.body.range.map { "line \($0.start.line): " } ?? ""
            return place + obstacle.causes.map(\.description).joined(separator: " and ")
        }
    }

    private func reason(of error: EvaluationError) -> String {
        let place = error.range.map { "line \($0.start.line): " } ?? ""
        return switch error.reason {
        case .unknownContext(MeshSchema.clock): "\(place)the time is not known here yet"
        case .unknownContext(let name): place + PacketPlane.silence(about: name)
        default: "\(place)\(error.reason)"
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
