package import Mesh

// The API of `posternd` on its Unix socket, for the people of its machine.
//
// A frame is a length (4 bytes, big-endian) and that many bytes of JSON. One request opens a connection; `run` comes
// with three descriptors (standard input, output, error) by SCM_RIGHTS, and is answered by events until `exited` or
// `failed`; while it lasts the caller may send signals. Any other request is answered by one response.

/// What a person asks of the node.
package enum LocalRequest: Codable, Equatable, Sendable {
    case status
    case why(agent: AgentName, action: String, service: ServiceName)
    case run(RunRequest)
    /// Hears again of a session that was run over a connection that is gone: answered as `run` is, and so is a session
    /// that has ended a short while ago.
    case attach(SessionID)
    case endSession(SessionID)
    /// Renews a session's lease at once, to its full length.
    case extendSession(SessionID)
    /// Exchanges a session's WireGuard key for a new one.
    case rotateSession(SessionID)
    case signal(Int32)
    /// The answer to `identify`: a presence, signed by the login's key.
    case present(Envelope)
    /// Who has a mesh address, or bears a name; as people write either.
    case whois(String)
    case ping(PingRequest)
    case doctor
    /// Brings the mesh device up again after `down`; on a machine that has not joined yet, joins.
    case up(JoinOrder?)
    /// Takes the mesh device down, until `up`.
    case down
    /// Exchanges the node's WireGuard key for a new one.
    case rotateKey
}

/// What a machine needs to join by way of its daemon.
package struct JoinOrder: Codable, Equatable, Sendable {
    package let token: JoinToken
    package let name: NodeName
    /// Where other nodes reach this one; none leaves the choice to the node.
    package let endpoints: [Endpoint]

    package init(token: JoinToken, name: NodeName, endpoints: [Endpoint]) {
        (self.token, self.name, self.endpoints) = (token, name, endpoints)
    }
}

/// A command to run as an agent.
package struct RunRequest: Codable, Equatable, Sendable {
    package let agent: AgentName
    package let command: [String]
    /// What the caller's environment holds; the enclosure takes from it only what its list allows.
    package let environment: [String: String]
    package let directory: String
    /// Only root may name another user; nobody may name root.
    package let user: UInt32?
    /// Whether the command is root by name, in a user namespace of its own.
    package let asRoot: Bool
    /// What the session has for itself beyond what every session has.
    package let isolation: SessionIsolation?
    /// The login of the person for whom it runs.
    package let login: Envelope?
    /// How large the caller's terminal is, where the command is to have one; standard input is then a socket, over
    /// which the outer end of the session's terminal comes back.
    package let terminal: TerminalSize?
    /// Whether the command is killed when the session ends, and not left without a network alone.
    package let kill: Bool

    package init(
        agent: AgentName, command: [String], environment: [String: String], directory: String, user: UInt32?,
        asRoot: Bool = false, isolation: SessionIsolation? = nil, login: Envelope? = nil, terminal: TerminalSize? = nil,
        kill: Bool = true
    ) {
        (self.agent, self.command, self.environment) = (agent, command, environment)
        (self.directory, self.user, self.asRoot, self.terminal) = (directory, user, asRoot, terminal)
        (self.isolation, self.login, self.kill) = (isolation, login, kill)
    }
}

/// How far a session is kept from its owner, where the usual is not enough.
package enum SessionIsolation: String, Codable, CaseIterable, Sendable {
    /// A uid of its own, which nobody else on the machine has.
    case uid
}

/// What the node answers.
package enum LocalResponse: Codable, Equatable, Sendable {
    case status(NodeStatus)
    case explanation(Explanation)
    /// What whoever came with a login shall sign by it.
    case identify(PresenceStatement)
    case started(SessionID)
    /// Something that the person at the terminal should read: a denial, a node that did not confirm.
    case notice(String)
    case exited(code: Int32)
    case ended(SessionEnding)
    case extended(SessionLease)
    case whois([PeerReport])
    case ping(PingReport)
    case doctor(DoctorReport)
    case up
    case down
    case rotated(WireGuardPublicKey)
    case failed(String)
}

/// How a session was ended on its node.
package struct SessionEnding: Codable, Equatable, Sendable {
    package let id: SessionID
    /// Between the question and the moment after which no packet of the session leaves this machine or comes to it.
    package let cutAfterMilliseconds: Int64
    /// Why that is not certain; absent when it is.
    package let problem: String?

    package init(id: SessionID, cutAfterMilliseconds: Int64, problem: String? = nil) {
        (self.id, self.cutAfterMilliseconds, self.problem) = (id, cutAfterMilliseconds, problem)
    }
}

/// How long a session lives.
package struct SessionLease: Codable, Equatable, Sendable {
    package let id: SessionID
    /// Where nobody renews it.
    package let expires: Timestamp
    /// However often it is renewed.
    package let maximum: Timestamp

    package init(id: SessionID, expires: Timestamp, maximum: Timestamp) {
        (self.id, self.expires, self.maximum) = (id, expires, maximum)
    }
}

/// The answer of `postern why`.
package struct Explanation: Codable, Equatable, Sendable {
    package let allowed: Bool
    package let text: String
    package let policies: [PolicyReference]

    package init(allowed: Bool, text: String, policies: [PolicyReference]) {
        (self.allowed, self.text, self.policies) = (allowed, text, policies)
    }
}

/// The frame around every local message.
package enum LocalFrame {
    package static let maximumLength = 1 << 20
    package static let descriptorCount = 3
    package static let defaultSocket = "/run/postern/posternd.sock"

    package static func encode(_ message: some Encodable) throws(MessageError) -> [UInt8] {
        let body = try JSON.encode(message)
        guard body.count <= maximumLength else {
            throw MessageError(reason: "the message is longer than \(maximumLength) bytes")
        }
        return (0..<4).map { UInt8(truncatingIfNeeded: body.count >> (24 - 8 * $0)) } + body
    }

    /// The length that a frame's first four bytes announce.
    package static func length(header: [UInt8]) throws(MessageError) -> Int {
        let length = header.prefix(4).reduce(0) { $0 << 8 | Int($1) }
        guard header.count >= 4, length <= maximumLength else {
            throw MessageError(reason: "the message is longer than \(maximumLength) bytes")
        }
        return length
    }
}
