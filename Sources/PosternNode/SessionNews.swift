package import CoordinationAPI
package import Mesh

/// What a session's own node says of it while the coordinator is away.
package enum SessionNews: Equatable, Sendable {
    /// It goes on, until then.
    case renewed(SessionID, until: Timestamp)
    /// It has ended.
    case ended(SessionID)
    /// What is known already.
    case old
}

extension BelievedMap {
    /// A session is renewed by this at a time at most, as by the coordinator.
    package static let longestRenewal = Duration.seconds(15 * 60)
    /// Less than this nobody could renew in time.
    package static let shortestRenewal = Duration.seconds(10)

    /// What the coordinator says of the sessions' lease, within the bounds.
    static func sessionLease(in event: MapEvent) -> Duration {
        event.sessionLeaseSeconds.map { min(max(.seconds($0), shortestRenewal), longestRenewal) } ?? longestRenewal
    }

    /// What a signed statement says of a session, if its node signed it and it is not too late.
    package func news(in envelope: Envelope, now: Timestamp) throws(NodeError) -> SessionNews {
        guard let id = envelope.unverifiedDocument?.statement.session else {
            throw NodeError("it is neither the renewal of a session nor its end")
        }
        if ended[id] != nil { return .old }
        guard let session = map.sessions[id], let key = nodes[session.node]?.key, map.nodes[session.node] != nil else {
            throw NodeError("session `\(id)` is not known here")
        }
        let document: Document
        do { document = try envelope.document(signedByOneOf: [key.key], of: map.mesh) } catch {
            throw NodeError("session `\(id)`: its node did not say so: \(error)")
        }
        guard case .renewal(let renewal) = document.statement else { return .ended(id) }
        // Nobody revives what is dead everywhere else.
        guard session.expires > now else { throw NodeError("session `\(id)` was over at \(session.expires)") }
        let until = min(renewal.expires, now + sessionLease, session.maximum, map.validUntil)
        return until > session.expires ? .renewed(id, until: until) : .old
    }

    /// Believes the news.
    package mutating func take(_ news: SessionNews) {
        switch news {
        case .renewed(let id, let until):
            sessions[id]?.renewed = until
            sessions[id]?.expires = until
            settle([.session(id)])
        case .ended(let id):
            guard let maximum = sessions[id]?.entry.maximum else { return }
            if ended.count >= Self.maximumEnded, let oldest = ended.min(by: { $0.value < $1.value }) {
                ended[oldest.key] = nil
            }
            ended[id] = maximum
            settle([.session(id)])
        case .old: break
        }
    }
}

extension Statement {
    /// The session that a node speaks of to other nodes.
    fileprivate var session: SessionID? {
        switch self {
        case .renewal(let renewal): renewal.id
        case .sessionEnd(let id): id
        default: nil
        }
    }
}
