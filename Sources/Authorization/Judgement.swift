import Cedar
import Mesh

/// What one policy, whose scope matches a request, says of it.
struct Judgement {
    let policy: Policy
    let reference: PolicyReference
    let stable: StableVerdict

    fileprivate var place: (PolicyName, Int, Int) { (reference.document, reference.line, reference.column) }

    /// Whether the policy has its effect.
    var counts: Bool { policy.counts(stable.verdict) }

    /// Whether it is a permit for other times.
    var isOutsideWindow: Bool { policy.effect == .permit && stable.verdict == .holdsNot && stable.until != nil }
}

extension Policy {
    /// Fails closed: a forbid that cannot be decided holds, where the language itself would skip it. Not everything that
    /// a condition may ask for is known to whoever decides, and what is not known must not open anything.
    func counts(_ verdict: Verdict) -> Bool {
        switch verdict {
        case .holds: true
        case .holdsNot: false
        case .fails: effect == .forbid
        }
    }
}

extension PolicySnapshot {
    /// In the order of the policies.
    func judgements(on request: Request) -> [Judgement] {
        let authorizer = authorizer
        return index.candidates(for: request).compactMap { policy in
            references[policy.id].map {
                Judgement(
                    policy: policy, reference: $0, stable: authorizer.verdict(of: policy, on: request, in: .day))
            }
            // The index has them in the order in which they came.
        }.sorted { $0.place < $1.place }
    }

    /// The moment from which a policy that holds does not; nil if none is known.
    func end(of judgement: Judgement, on request: Request) -> Timestamp? {
        guard let moment = judgement.stable.until.map({ Timestamp(rawValue: $0.milliseconds) }) else { return nil }
        return authorizer.verdict(of: judgement.policy, on: request.at(moment)) == .holds ? nil : moment
    }

    /// The next moment at which a policy that does not hold does, if one is found within some days.
    func opening(of judgement: Judgement, on request: Request) -> Timestamp? {
        let authorizer = authorizer
        var next = judgement.stable.until
        for _ in 0..<8 {
            guard let moment = next.map({ Timestamp(rawValue: $0.milliseconds) }) else { return nil }
            let stable = authorizer.verdict(of: judgement.policy, on: request.at(moment), in: .day)
            if stable.verdict == .holds { return moment }
            next = stable.until
        }
        return nil
    }
}

extension Request {
    /// Of its context only the time is known, and even that not always.
    init(_ agent: AgentName, _ action: MeshAction, _ service: ServiceName, now: Timestamp?) {
        self.init(principal: agent.entity, action: action.entity, resource: service.entity, context: Context(now))
    }

    func at(_ moment: Timestamp?) -> Request {
        Request(principal: principal, action: action, resource: resource, context: Context(moment))
    }
}

extension Context {
    init(_ now: Timestamp?) {
        let clock = now.map { [MeshSchema.clock: Value.datetime(Value.Datetime(milliseconds: $0.rawValue))] }
        self.init(clock ?? [:], isPartial: true)
    }
}
