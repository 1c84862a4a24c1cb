/// Why a request was decided as it was: what made the decision, and for a denial, what a permit lacked.
public struct Explanation: Equatable, Sendable {
    public let decision: Response.Decision
    public let request: Request
    /// The permits of an allow, the forbids of a deny; none where nothing applies.
    public let determining: [Policy]
    /// For a denial that no policy forbids: each permit whose scope matches, and why it does not apply.
    public let obstacles: [Obstacle]
    /// The policies that could not be evaluated and counted for nothing, permits and forbids.
    public let skipped: [Skipped]

    /// A permit whose scope matches and that does not apply.
    public struct Obstacle: Equatable, Sendable {
        public let policy: Policy
        /// Which of the policy's conditions keeps it from applying: the first that does.
        public let clause: Int
        /// What in that condition makes it so; never empty. Each has the value that is said of it also alone.
        public let causes: [Cause]

        public var condition: Condition { policy.conditions[clause] }
    }

    /// A policy that could not be evaluated.
    public struct Skipped: Equatable, Sendable {
        public let policy: Policy
        public let error: EvaluationError
    }
}

extension Answer {
    /// Why the decision is as it is, worked out when it is asked for.
    public var explanation: Explanation {
        let determining = determining
        let evaluator = Evaluator(request: request, entities: state.entities)
        var (obstacles, skipped): ([Explanation.Obstacle], [Explanation.Skipped]) = ([], [])
        for record in records {
            let policy = record.policy.policy
            switch record.end {
            case .holds: break
            case .failed: record.error(in: self).map { skipped.append(.init(policy: policy, error: $0)) }
            case .clause(let clause) where decision == .deny && determining.isEmpty && policy.effect == .permit:
                let condition = policy.conditions[clause]
                let causes = evaluator.causes(of: condition.body, being: condition.kind == .unless)
                obstacles.append(.init(policy: policy, clause: clause, causes: causes))
            case .clause: break
            }
        }
        return Explanation(
            decision: decision, request: request, determining: determining, obstacles: obstacles, skipped: skipped)
    }

    /// Permits that are for this request but for who asks, what is asked, or what for: one of the three. In the order
    /// of the policies, which are all read for it.
    public func nearestPermits(atMost count: Int) -> [(policy: Policy, mismatch: Scope.Variable)] {
        var found: [(policy: Policy, mismatch: Scope.Variable)] = []
        for policy in state.policies.all where policy.effect == .permit {
            let mismatches = policy.policy.scope.mismatches(request, in: state.entities)
            guard mismatches.count == 1, let mismatch = mismatches.first else { continue }
            found.append((policy.policy, mismatch))
            if found.count == count { break }
        }
        return found
    }
}

extension Explanation: CustomStringConvertible {
    /// How many policies are named one by one.
    private static let maximumNamed = 3

    /// One sentence: ``forbidden by `night` at line 12``.
    public var description: String {
        ([headline] + skipped.prefix(Self.maximumNamed).map(\.description)).joined(separator: "; ")
    }

    private var headline: String {
        switch decision {
        case .allow: return "allowed by \(Self.list(determining.map(\.byline)))"
        case .deny where !determining.isEmpty: return "forbidden by \(Self.list(determining.map(\.byline)))"
        case .deny where obstacles.isEmpty:
            return "no permit is for `\(request.principal)`, `\(request.action)` and `\(request.resource)`"
        case .deny:
            let reasons = obstacles.prefix(Self.maximumNamed).map(\.description)
            let more = obstacles.count > reasons.count ? "; and \(obstacles.count - reasons.count) more" : ""
            return "no permit applies: \(reasons.joined(separator: "; "))\(more)"
        }
    }

    private static func list(_ names: [String]) -> String {
        let more = names.count > maximumNamed ? " and \(names.count - maximumNamed) more" : ""
        return names.prefix(maximumNamed).joined(separator: ", ") + more
    }
}

extension Explanation.Obstacle: CustomStringConvertible {
    public var description: String {
        let joiner = condition.kind == .unless ? " makes an exception, as" : " does not, as"
        return "\(policy.byline)\(joiner) \(causes.map(\.description).joined(separator: " and "))"
    }
}

extension Explanation.Skipped: CustomStringConvertible {
    public var description: String { "\(policy.byline) was skipped: \(error.reason)" }
}

extension Policy {
    /// Its id and where it begins.
    fileprivate var byline: String { "`\(id)` at line \(range.start.line)" }
}
