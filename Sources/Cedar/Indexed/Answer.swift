/// The answer to a request, with the little that explains it: which policies were asked, and how each ended.
///
/// What else can be said of it is worked out when it is asked for, over the policies and entities that it was made of.
public struct Answer: Sendable {
    public internal(set) var decision: Response.Decision
    public let request: Request
    var records: [Record]
    let state: IndexedAuthorizer.State

    /// How a policy ended, whose scope matches.
    struct Record: Sendable {
        let policy: IndexedPolicy
        let end: Runner.End
    }

    /// The matching permits of an allow, the matching forbids of a deny; none when nothing matched.
    public var determining: [Policy] {
        let effect: Effect = decision == .allow ? .permit : .forbid
        return records.lazy.filter { $0.end == .holds && $0.policy.policy.effect == effect }.map(\.policy.policy)
    }

    /// The policies whose conditions could not be evaluated, which counted for nothing, and why.
    public var errors: [PolicyError] {
        records.filter { $0.end == .failed }.compactMap { record in
            record.error(in: self).map { PolicyError(policy: record.policy.policy.id, error: $0) }
        }
    }

    public var response: Response { Response(decision: decision, determining: determining, errors: errors) }
}

extension Answer.Record {
    /// Why it failed.
    func error(in answer: Answer) -> EvaluationError? {
        do throws(EvaluationError) {
            _ = try Evaluator(request: answer.request, entities: answer.state.entities).holds(policy.policy)
            return nil
        } catch { return error }
    }
}
