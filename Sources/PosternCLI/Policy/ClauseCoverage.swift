import Cedar

/// Which clauses of policies were seen to hold, and which not to.
///
/// A clause is the scope of a policy, or a part of its conditions between `&&`, `||`, `!` and `if`. Only what the
/// evaluation comes to is seen: what stands behind a false `&&` is not.
struct ClauseCoverage {
    private struct Clause {
        let policy: Policy.ID
        let text: String
        let place: SourcePosition
        /// What it could ever be: the scope of everything always matches.
        let possible: Set<Bool>
        var seen: Set<Bool> = []
    }

    private let policies: PolicySet
    private var clauses: [Clause] = []
    /// By policy, and by expression.
    private var scopes: [Policy.ID: Int] = [:]
    private var parts: [ObjectIdentifier: Int] = [:]

    init(of policies: PolicySet) {
        self.policies = policies
        for policy in policies.policies {
            scopes[policy.id] = clauses.count
            let isOpen = policy.scope == Scope(principal: .any, action: .any, resource: .any)
            clauses.append(
                Clause(
                    policy: policy.id, text: "its scope", place: policy.range.start,
                    possible: isOpen ? [true] : [true, false]))
            for condition in policy.conditions { collect(condition.body, of: policy) }
        }
    }

    private mutating func collect(_ expression: Cedar.Expression, of policy: Policy) {
        switch expression.kind {
        case .and(let left, let right), .or(let left, let right):
            collect(left, of: policy)
            collect(right, of: policy)
        case .not(let operand): collect(operand, of: policy)
        case .conditional(let test, let yes, let no): for part in [test, yes, no] { collect(part, of: policy) }
        case .literal: break
        default:
            // Policies linked to one template share their clauses.
            guard parts[ObjectIdentifier(expression)] == nil else { return }
            parts[ObjectIdentifier(expression)] = clauses.count
            clauses.append(
                Clause(
                    policy: policy.id, text: "`\(expression)`", place: expression.range?.start ?? policy.range.start,
                    possible: [true, false]))
        }
    }

    /// Looks at what the policies say of one request.
    mutating func record(_ request: Request, _ entities: Entities) {
        for policy in policies.policies {
            let matches = policy.scope.matches(request, in: entities)
            if let scope = scopes[policy.id] { clauses[scope].seen.insert(matches) }
            guard matches else { continue }
            for condition in policy.conditions {
                guard let holds = evaluate(condition.body, request, entities), holds == (condition.kind == .when) else {
                    break
                }
            }
        }
    }

    /// Nil if it fails.
    private mutating func evaluate(
        _ expression: Cedar.Expression, _ request: Request, _ entities: Entities
    ) -> Bool? {
        switch expression.kind {
        case .and(let left, let right):
            guard let value = evaluate(left, request, entities) else { return nil }
            guard value else { return false }
            return evaluate(right, request, entities)
        case .or(let left, let right):
            guard let value = evaluate(left, request, entities) else { return nil }
            return value ? true : evaluate(right, request, entities)
        case .not(let operand): return evaluate(operand, request, entities).map { !$0 }
        case .conditional(let test, let yes, let no):
            guard let value = evaluate(test, request, entities) else { return nil }
            return evaluate(value ? yes : no, request, entities)
        default:
            guard case .bool(let value)? = try? expression.value(for: request, in: entities) else { return nil }
            if let part = parts[ObjectIdentifier(expression)] { clauses[part].seen.insert(value) }
            return value
        }
    }
}

// MARK: - What is missing

extension ClauseCoverage {
    private var outcomes: Int { clauses.reduce(0) { $0 + $1.possible.count } }

    private var seen: Int { clauses.reduce(0) { $0 + $1.possible.intersection($1.seen).count } }

    /// Of all outcomes there could be.
    var percent: Int { outcomes == 0 ? 100 : seen * 100 / outcomes }

    /// A sentence for each outcome that no case has brought about.
    var missing: [String] {
        clauses.flatMap { clause in
            clause.possible.subtracting(clause.seen).sorted { $0 && !$1 }.map { outcome in
                "policy `\(clause.policy)` (\(clause.place)): \(clause.text) "
                    + (outcome ? "was never seen to hold" : "was never seen not to hold")
            }
        }
    }

    var text: String {
        (["coverage: \(percent) %, \(seen) of \(outcomes) outcomes of \(clauses.count) clauses were seen"]
            + missing.map { "  \($0)" }).joined(separator: "\n")
    }
}
