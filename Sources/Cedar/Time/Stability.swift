/// What a policy says of a request for a while.
public struct StableVerdict: Equatable, Sendable {
    public let verdict: Verdict
    /// The first moment at which it may be otherwise; nil where time changes nothing.
    public let until: Value.Datetime?
}

/// The answer to a request for a while.
public struct StableResponse: Equatable, Sendable {
    public let response: Response
    /// The first moment at which the decision, or a policy that determines it, may be another; nil where time changes
    /// nothing.
    public let until: Value.Datetime?
}

/// How far ahead to look, and by what attribute of the context policies tell the time.
public struct TimeFrame: Hashable, Sendable {
    public let clock: Text
    public let horizon: Value.Duration

    public static let day = TimeFrame(clock: "now", horizon: Value.Duration(milliseconds: Value.Datetime.day))

    /// The horizon is at least a millisecond.
    public init(clock: Text, horizon: Value.Duration) {
        (self.clock, self.horizon) = (clock, Value.Duration(milliseconds: max(1, horizon.milliseconds)))
    }

    /// How often in a row a moment that could not be ruled out may turn out to change nothing.
    static let maximumSteps = 64
}

extension Authorizer {
    /// Decides at the moment that the request's context tells, and says how long that answer stands.
    ///
    /// Sound: at every moment before `until` the answer is the same, everything but the time being equal. What cannot be
    /// proved makes the time shorter. Looks no further than the frame's horizon, but says more where that is plain.
    public func authorize(_ request: Request, in frame: TimeFrame) -> StableResponse {
        let response = authorize(request)
        let candidates = candidates(for: request)
        let until = stable(request, in: frame) { moment in
            candidates.map { proof(of: $0, moment, in: frame) }.min() ?? .max
        } isSame: {
            authorize($0).isSame(as: response)
        }
        return StableResponse(response: response, until: until)
    }

    /// What the conditions of a policy say of a request that its scope matches, and how long that stands.
    public func verdict(of policy: Policy, on request: Request, in frame: TimeFrame) -> StableVerdict {
        let verdict = verdict(of: policy, on: request)
        let until = stable(request, in: frame) {
            proof(of: policy, $0, in: frame)
        } isSame: {
            self.verdict(of: policy, on: $0).isSame(as: verdict)
        }
        return StableVerdict(verdict: verdict, until: until)
    }

    /// Goes from proof to proof, as long as the moment behind each gives the same answer again.
    ///
    /// - Parameter proof: gives the moment before which a request's answer is proved to stay.
    private func stable(
        _ request: Request, in frame: TimeFrame, proof: (Request) -> Int64, isSame: (Request) -> Bool
    ) -> Value.Datetime? {
        guard case .datetime(let start)? = request.context.attributes[frame.clock] else { return nil }
        var proved = proof(request)
        let (end, overflow) = start.milliseconds.addingReportingOverflow(frame.horizon.milliseconds)
        for _ in 1..<TimeFrame.maximumSteps where !overflow && proved < end {
            let next = request.at(proved, frame.clock)
            guard isSame(next) else { break }
            proved = proof(next)
        }
        return proved == .max ? nil : Value.Datetime(milliseconds: proved)
    }

    /// The moment before which the policy's verdict is proved to stay, at least a millisecond on; the last there is
    /// where it stays for ever.
    private func proof(of policy: Policy, _ request: Request, in frame: TimeFrame) -> Int64 {
        guard policy.usesContext, case .datetime(let start)? = request.context.attributes[frame.clock] else {
            return .max
        }
        let evaluator = Evaluator(request: request, entities: entities)
        func isProved(before end: Int64) -> Bool {
            IntervalEvaluator(evaluator: evaluator, clock: frame.clock, span: start.milliseconds...end - 1)
                .possibilities(of: policy).areOne
        }
        guard start.milliseconds < .max, !isProved(before: .max) else { return .max }
        // What is proved of a span is proved of every shorter one, so the last can be searched for by halves. Most
        // changes are near, so the span to search grows from the horizon.
        var (proved, open) = (start.milliseconds + 1, Int64.max)
        var (step, overflow) = (frame.horizon.milliseconds, false)
        while !overflow, case (let end, false) = start.milliseconds.addingReportingOverflow(step) {
            guard isProved(before: end) else {
                open = end
                break
            }
            proved = end
            (step, overflow) = step.multipliedReportingOverflow(by: 16)
        }
        while proved + 1 < open {
            // The distance may be more than half of all numbers.
            let middle = proved &+ Int64(UInt64(bitPattern: open &- proved) / 2)
            if isProved(before: middle) { proved = middle } else { open = middle }
        }
        return proved
    }
}

extension Request {
    fileprivate func at(_ moment: Int64, _ clock: Text) -> Request {
        var context = context
        context.attributes[clock] = .datetime(Value.Datetime(milliseconds: moment))
        return Request(principal: principal, action: action, resource: resource, context: context)
    }
}

extension Policy {
    /// Whether a condition asks for any part of the context.
    public var usesContext: Bool { conditions.contains { $0.body.usesContext } }
}

extension Response {
    /// Whether both give the same decision by the same policies, and skip the same.
    fileprivate func isSame(as other: Response) -> Bool {
        decision == other.decision && determining.map(\.id) == other.determining.map(\.id)
            && errors.map(\.policy) == other.errors.map(\.policy)
    }
}

extension Verdict {
    fileprivate func isSame(as other: Verdict) -> Bool {
        switch (self, other) {
        case (.holds, .holds), (.holdsNot, .holdsNot), (.fails, .fails): true
        default: false
        }
    }
}
