import Cedar
import Mesh

/// Finds out how long what is decided of pairs stays so, and asks each policy once for each moment.
struct Timetable {
    /// What holds of a pair for a while.
    struct State {
        /// Positions of the permits that hold; none if a forbid does.
        let permits: [Int]
        /// The first moment at which this may be otherwise; nil where time changes nothing.
        let until: Timestamp?
    }

    private struct Question: Hashable {
        let policy: Int
        /// Nil where the policy asks neither who nor what.
        let pair: Pair?
        let moment: Timestamp?
    }

    private let authorizer: Authorizer
    private let agents: [EntityUID]
    private let services: [EntityUID]
    private var answers: [Question: StableVerdict] = [:]
    /// Whether the conditions of a policy say the same of every pair.
    private let isCommon: [Bool]

    private static let horizon = Duration.seconds(86_400)
    private static let maximumSteps = 64

    init(of snapshot: PolicySnapshot, agents: [EntityUID], services: [EntityUID]) {
        (authorizer, self.agents, self.services) = (snapshot.authorizer, agents, services)
        isCommon = snapshot.policies.policies.map { policy in
            !policy.conditions.contains { $0.body.asksWhoOrWhat }
        }
    }

    /// What holds of a pair at a moment, and when what is permitted then may end.
    mutating func course(
        of policies: [Int], for pair: Pair, from now: Timestamp?
    ) -> (state: State, end: Timestamp?) {
        let first = state(of: policies, for: pair, at: now)
        var end = first.until
        guard !first.permits.isEmpty, let now else { return (first, end) }
        // A moment that could not be ruled out may change nothing. One step is always taken, so that a grant does not
        // end where we are asked again.
        for step in 0..<Self.maximumSteps {
            guard let moment = end, step == 0 || moment < now + Self.horizon else { break }
            let next = state(of: policies, for: pair, at: moment)
            if next.permits.isEmpty { break }
            end = next.until
        }
        return (first, end)
    }

    private mutating func state(of policies: [Int], for pair: Pair, at moment: Timestamp?) -> State {
        var permits: [Int] = []
        var isForbidden = false
        var until: Timestamp?
        for position in policies {
            let policy = authorizer.policies.policies[position]
            let stable = verdict(of: policy, at: position, for: pair, moment)
            until = earlier(until, stable.until.map { Timestamp(rawValue: $0.milliseconds) })
            guard policy.counts(stable.verdict) else { continue }
            if policy.effect == .permit { permits.append(position) } else { isForbidden = true }
        }
        return State(permits: isForbidden ? [] : permits, until: until)
    }

    private mutating func verdict(
        of policy: Policy, at position: Int, for pair: Pair, _ moment: Timestamp?
    ) -> StableVerdict {
        let question = Question(policy: position, pair: isCommon[position] ? nil : pair, moment: moment)
        if let answer = answers[question] { return answer }
        let request = Request(
            principal: agents[pair.agent], action: MeshAction.connect.entity, resource: services[pair.service],
            context: Context(moment))
        let answer = authorizer.verdict(of: policy, on: request, in: .day)
        answers[question] = answer
        return answer
    }
}

/// Nil means never.
func earlier(_ one: Timestamp?, _ other: Timestamp?) -> Timestamp? {
    guard let one, let other else { return one ?? other }
    return min(one, other)
}

extension Expression {
    fileprivate var asksWhoOrWhat: Bool {
        var found = false
        visit { expression in
            if expression.kind == .variable(.principal) || expression.kind == .variable(.resource) { found = true }
        }
        return found
    }
}
