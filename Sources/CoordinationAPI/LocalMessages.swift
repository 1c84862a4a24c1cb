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
    case endSession(SessionID)
    case signal(Int32)
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

    package init(agent: AgentName, command: [String], environment: [String: String], directory: String, user: UInt32?) {
        (self.agent, self.command, self.environment) = (agent, command, environment)
        (self.directory, self.user) = (directory, user)
    }
}

/// What the node answers.
package enum LocalResponse: Codable, Equatable, Sendable {
    case status(NodeStatus)
    case explanation(Explanation)
    case started(SessionID)
    /// Something that the person at the terminal should read: a denial, a node that did not confirm.
    case notice(String)
    case exited(code: Int32)
    case ended
    case failed(String)
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

/// What `postern status` shows.
package struct NodeStatus: Codable, Equatable, Sendable {
    package var mesh: MeshDomain
    package var node: NodeName
    package var address: String
    package var address6: String
    package var pool: String
    package var mapVersion: UInt64?
    package var mapIssuedAt: Timestamp?
    package var mapValidUntil: Timestamp?
    package var coordinatorURL: String
    /// Why the last question to the coordinator failed; absent when it was answered.
    package var coordinatorError: String?
    package var devices: [Device]
    package var sessions: [Session]
    /// Packets by direction and reason since the tables were made.
    package var packets: [PacketCount]
    /// What the reconciler could not do; empty when all is as planned.
    package var problems: [String]

    /// A WireGuard device of this machine.
    package struct Device: Codable, Equatable, Sendable {
        package var name: String
        package var session: SessionID?
        package var listenPort: UInt16
        package var classifierAttached: Bool
        package var peers: [Peer]

        package init(name: String, session: SessionID?, listenPort: UInt16, classifierAttached: Bool, peers: [Peer]) {
            (self.name, self.session, self.listenPort) = (name, session, listenPort)
            (self.classifierAttached, self.peers) = (classifierAttached, peers)
        }
    }

    /// The other end of a tunnel.
    package struct Peer: Codable, Equatable, Sendable {
        package var name: String
        package var address: String
        package var key: WireGuardPublicKey
        package var endpoint: String?
        package var received: UInt64
        package var sent: UInt64

        package init(
            name: String, address: String, key: WireGuardPublicKey, endpoint: String?, received: UInt64, sent: UInt64
        ) {
            (self.name, self.address, self.key) = (name, address, key)
            (self.endpoint, self.received, self.sent) = (endpoint, received, sent)
        }
    }

    /// A session of this node.
    package struct Session: Codable, Equatable, Sendable {
        package var id: SessionID
        package var agent: AgentName
        package var address: String
        package var device: String
        package var expires: Timestamp?
        package var processID: Int32?

        package init(
            id: SessionID, agent: AgentName, address: String, device: String, expires: Timestamp?, processID: Int32?
        ) {
            (self.id, self.agent, self.address, self.device) = (id, agent, address, device)
            (self.expires, self.processID) = (expires, processID)
        }
    }

    /// How many packets left by one way.
    package struct PacketCount: Codable, Equatable, Sendable {
        package var direction: String
        package var reason: String
        package var packets: UInt64
        package var bytes: UInt64

        package init(direction: String, reason: String, packets: UInt64, bytes: UInt64) {
            (self.direction, self.reason, self.packets, self.bytes) = (direction, reason, packets, bytes)
        }
    }

    package init(
        mesh: MeshDomain, node: NodeName, address: String, address6: String, pool: String, mapVersion: UInt64?,
        mapIssuedAt: Timestamp?, mapValidUntil: Timestamp?, coordinatorURL: String, coordinatorError: String?,
        devices: [Device], sessions: [Session], packets: [PacketCount], problems: [String]
    ) {
        (self.mesh, self.node, self.address, self.address6, self.pool) = (mesh, node, address, address6, pool)
        (self.mapVersion, self.mapIssuedAt, self.mapValidUntil) = (mapVersion, mapIssuedAt, mapValidUntil)
        (self.coordinatorURL, self.coordinatorError) = (coordinatorURL, coordinatorError)
        (self.devices, self.sessions, self.packets, self.problems) = (devices, sessions, packets, problems)
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
