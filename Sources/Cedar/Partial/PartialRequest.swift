/// A question some of whose parts are not known yet: who asks, for what, or in which context.
public struct PartialRequest: Sendable {
    /// The id of the principal, whose type is known.
    public let principal: String?
    public let resource: String?
    /// What is known of the context; nothing of a partial one is known but its attributes.
    public let context: Context

    public init(principal: String? = nil, resource: String? = nil, context: Context = Context(isPartial: true)) {
        (self.principal, self.resource, self.context) = (principal, resource, context)
    }
}

/// What is known of the answer to a partial request.
public struct PartialResponse: Sendable {
    /// The decision, where nothing that is unknown can change it.
    public let decision: Response.Decision?
    /// The policies that match whatever the rest is.
    public let matching: [Policy]
    /// The policies that fail whatever the rest is.
    public let failing: [Policy]
    /// What is left of the others to ask, each a policy for any scope with the id of the one it comes from.
    public let residuals: [Policy]
    /// The policies that the residuals come from.
    let origins: [Policy]

    init(matching: [Policy], failing: [Policy], residuals: [Policy], origins: [Policy]) {
        (self.matching, self.failing, self.residuals, self.origins) = (matching, failing, residuals, origins)
        let isForbidden = matching.contains { $0.effect == .forbid }
        let mayBeForbidden = residuals.contains { $0.effect == .forbid }
        let isPermitted = matching.contains { $0.effect == .permit }
        let mayBePermitted = residuals.contains { $0.effect == .permit }
        decision =
            isForbidden || (!isPermitted && !mayBePermitted) ? .deny : isPermitted && !mayBeForbidden ? .allow : nil
    }

    /// The answer, now that everything is known: the same as that of the whole.
    public func reauthorize(_ request: Request, in entities: Entities) -> (
        decision: Response.Decision, determining: Set<Policy.ID>, failing: Set<Policy.ID>
    ) {
        let evaluator = Evaluator(request: request, entities: entities)
        var matching = matching
        var failing = Set(failing.map(\.id))
        for (residual, origin) in zip(residuals, origins) {
            do throws(EvaluationError) {
                if try evaluator.holds(residual) { matching.append(origin) }
            } catch { failing.insert(origin.id) }
        }
        let response = Response(matching: matching)
        return (response.decision, Set(response.determining.map(\.id)), failing)
    }
}

/// Why policies cannot be evaluated in part.
public enum PartialError: Error, Equatable, CustomStringConvertible {
    /// Only what is valid can be simplified without a change of what it means.
    case invalidPolicies([ValidationError])
    /// The action does not apply to such a principal and resource.
    case invalidRequest(EntityUID)

    public var description: String {
        switch self {
        case .invalidPolicies(let errors): errors.map(\.description).joined(separator: "\n")
        case .invalidRequest(let action): "`\(action)` does not apply to such a principal and resource"
        }
    }
}
