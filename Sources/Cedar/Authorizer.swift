/// A question: may this principal do that to this resource?
public struct Request: Hashable, Sendable {
    public let principal: EntityUID
    public let action: EntityUID
    public let resource: EntityUID
    public let context: Context

    public init(principal: EntityUID, action: EntityUID, resource: EntityUID, context: Context = Context()) {
        self.principal = principal
        self.action = action
        self.resource = resource
        self.context = context
    }
}

/// What a request says beside who, what and on what.
public struct Context: Hashable, Sendable {
    public var attributes: [Text: Value]
    /// Whether there may be attributes that are not told here. To ask for such a one is an error then, even by `has`.
    public var isPartial: Bool

    public init(_ attributes: [Text: Value] = [:], isPartial: Bool = false) {
        (self.attributes, self.isPartial) = (attributes, isPartial)
    }
}

/// The answer to a request, with the policies that made it so.
public struct Response: Equatable, Sendable {
    public enum Decision: Sendable { case allow, deny }

    public let decision: Decision
    /// The matching permits of an allow, the matching forbids of a deny; none when nothing matched.
    public let determining: [Policy]
    /// The policies whose conditions could not be evaluated, which counted for nothing.
    public let errors: [PolicyError]

    public init(decision: Decision, determining: [Policy], errors: [PolicyError] = []) {
        (self.decision, self.determining, self.errors) = (decision, determining, errors)
    }
}

/// What the conditions of a policy say of a request.
public enum Verdict: Hashable, Sendable {
    case holds
    case holdsNot
    case fails(EvaluationError)
}

/// A policy that was skipped, and why.
public struct PolicyError: Error, Hashable, Sendable, CustomStringConvertible {
    public let policy: Policy.ID
    public let error: EvaluationError

    public var description: String { "policy `\(policy)`: \(error)" }
}

/// Decides requests: a forbid beats every permit, and what nothing permits is denied.
///
/// Reads every policy for each request, so it needs no preparation. For many policies and requests there is the
/// `IndexedAuthorizer`, which gives the same answers.
public struct Authorizer: Sendable {
    public let policies: PolicySet
    public let entities: Entities

    public init(policies: PolicySet, entities: Entities) {
        self.policies = policies
        self.entities = entities
    }

    public func authorize(_ request: Request) -> Response {
        var matching: [Policy] = []
        var errors: [PolicyError] = []
        for policy in candidates(for: request) {
            switch verdict(of: policy, on: request) {
            case .holds: matching.append(policy)
            case .holdsNot: break
            case .fails(let error): errors.append(PolicyError(policy: policy.id, error: error))
            }
        }
        return Response(matching: matching, errors: errors)
    }

    /// What the conditions of a policy say of a request that its scope matches.
    public func verdict(of policy: Policy, on request: Request) -> Verdict {
        do throws(EvaluationError) {
            return try Evaluator(request: request, entities: entities).holds(policy) ? .holds : .holdsNot
        } catch { return .fails(error) }
    }

    /// The policies whose scope matches, in the order of their text.
    public func candidates(for request: Request) -> [Policy] {
        policies.policies.filter { $0.scope.matches(request, in: entities) }
    }
}

extension Response {
    /// The answer when exactly these policies match.
    init(matching: [Policy], errors: [PolicyError] = []) {
        let forbids = matching.filter { $0.effect == .forbid }
        let permits = matching.filter { $0.effect == .permit }
        decision = forbids.isEmpty && !permits.isEmpty ? .allow : .deny
        determining = forbids.isEmpty ? permits : forbids
        self.errors = errors
    }
}

extension Scope {
    /// The variables of a request.
    public enum Variable: String, Sendable, CaseIterable { case principal, action, resource }

    public func matches(_ request: Request, in entities: Entities) -> Bool {
        action.matches(request.action, in: entities)
            && principal.matches(request.principal, in: entities)
            && resource.matches(request.resource, in: entities)
    }

    /// The variables for which this scope asks for something other than what the request has.
    public func mismatches(_ request: Request, in entities: Entities) -> [Variable] {
        Variable.allCases.filter { variable in
            switch variable {
            case .principal: !principal.matches(request.principal, in: entities)
            case .action: !action.matches(request.action, in: entities)
            case .resource: !resource.matches(request.resource, in: entities)
            }
        }
    }
}

extension EntityConstraint {
    public func matches(_ entity: EntityUID, in entities: Entities) -> Bool {
        switch self {
        case .any: true
        case .equal(let other): entity == other
        case .within(let group): entities.contains(entity, in: group)
        case .isType(let type): entity.type == type
        case .isTypeWithin(let type, let group): entity.type == type && entities.contains(entity, in: group)
        }
    }
}

extension ActionConstraint {
    public func matches(_ action: EntityUID, in entities: Entities) -> Bool {
        switch self {
        case .any: true
        case .equal(let other): action == other
        case .within(let groups): groups.contains { entities.contains(action, in: $0) }
        }
    }
}
