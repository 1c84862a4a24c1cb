package import Mesh

/// What a node decided or saw, before it has a place in the node's chain.
///
/// Texts are cut to their bounds when an event is made, so that every record is of bounded length.
package struct AuditEvent: Decodable, Equatable, Sendable {
    package enum Kind: String, Codable, Sendable, CaseIterable {
        case flowOpened = "flow-opened"
        case flowDenied = "flow-denied"
        case sessionStarted = "session-started"
        case sessionRenewed = "session-renewed"
        case sessionEnded = "session-ended"
        case launchRefused = "launch-refused"
        /// The classifier counted so many more of a sender's events, and did not tell them.
        case suppressed
        /// So many records were lost before they were delivered.
        case dropped
    }

    package let time: Timestamp
    package let kind: Kind
    package var session: SessionID?
    package var agent: AgentName?
    package var owner: UserName?
    /// For whom the session runs, where a person has proved himself.
    package var person: UserName?
    /// The local user who asked.
    package var uid: UInt32?
    /// On whose behalf, from the first to the one who acts.
    package var chain: [String]?
    package var service: ServiceName?
    package var target: String?
    package var transport: String?
    package var port: Port?
    /// Where it was judged.
    package var place: String?
    /// The policies that determined it.
    package var policies: [String]?
    package var reason: String?
    package var count: UInt64?

    package init(_ kind: Kind, at time: Timestamp) { (self.kind, self.time) = (kind, time) }
}

extension AuditEvent {
    /// Bytes, each of a text of its kind.
    static let maximumReason = 512
    static let maximumText = 160
    static let maximumPolicies = 4
    static let maximumChain = 8

    /// The same within the bounds, in one line.
    var bounded: AuditEvent {
        var event = self
        event.reason = reason?.clipped(to: Self.maximumReason)
        event.target = target?.clipped(to: Self.maximumText)
        event.transport = transport?.clipped(to: Self.maximumText)
        event.place = place?.clipped(to: Self.maximumText)
        event.policies = policies?.prefix(Self.maximumPolicies).map { $0.clipped(to: Self.maximumText) }
        event.chain = chain?.prefix(Self.maximumChain).map { $0.clipped(to: Self.maximumText) }
        return event
    }
}

extension String {
    /// Without control characters, and no longer than so many bytes.
    fileprivate func clipped(to limit: Int) -> String {
        // Most are short and plain.
        if utf8.count <= limit, utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f }) { return self }
        var result = ""
        var length = 0
        for scalar in unicodeScalars {
            let isPlain = scalar.value >= 0x20 && scalar.value != 0x7f
            let next = isPlain ? scalar : " "
            length += String(next).utf8.count
            guard length <= limit else { break }
            result.unicodeScalars.append(next)
        }
        return result
    }
}
