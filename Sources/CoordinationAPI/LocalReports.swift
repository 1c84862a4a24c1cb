package import Mesh

/// Who has an address of the mesh: a node, or a session of an agent.
package struct PeerReport: Codable, Equatable, Sendable {
    package enum Kind: String, Codable, Sendable { case node, session }

    package var kind: Kind
    package var node: NodeName
    package var addresses: [String]
    package var key: WireGuardPublicKey
    /// Where its node says that it is reached on the underlay.
    package var endpoints: [String]
    /// Where its last packet came from, by a tunnel of this machine.
    package var seenAt: String?
    package var lastHandshake: Timestamp?
    /// Of a node: what it serves.
    package var services: [ServiceName]
    /// Of a session.
    package var session: SessionID?
    package var agent: AgentName?
    package var owner: UserName?
    package var since: Timestamp?
    package var until: Timestamp?

    package init(
        kind: Kind, node: NodeName, addresses: [String], key: WireGuardPublicKey, endpoints: [String],
        seenAt: String? = nil, lastHandshake: Timestamp? = nil, services: [ServiceName] = [],
        session: SessionID? = nil, agent: AgentName? = nil, owner: UserName? = nil, since: Timestamp? = nil,
        until: Timestamp? = nil
    ) {
        (self.kind, self.node, self.addresses, self.key) = (kind, node, addresses, key)
        (self.endpoints, self.seenAt, self.lastHandshake) = (endpoints, seenAt, lastHandshake)
        (self.services, self.session, self.agent) = (services, session, agent)
        (self.owner, self.since, self.until) = (owner, since, until)
    }
}

/// Whom to ping, and how often.
package struct PingRequest: Codable, Equatable, Sendable {
    /// A node, or a service, which stands for its node; a mesh address of either.
    package let target: String
    package let count: Int

    /// A ping takes a second; the answer comes when all are done.
    package static let countRange = 1...20

    package init(target: String, count: Int) { (self.target, self.count) = (target, count) }
}

/// How another node answers through the mesh.
package struct PingReport: Codable, Equatable, Sendable {
    package var node: NodeName
    package var address: String
    /// What was sent, and as whom: `UDP 4747, as the node`.
    package var means: String?
    /// By each device of this machine that has a tunnel to it.
    package var tunnels: [Tunnel]
    /// In milliseconds, one for each that was sent, in order; null where no answer came.
    package var roundTrips: [Double?]
    /// Why nothing was sent; absent when something was.
    package var refusal: String?

    package struct Tunnel: Codable, Equatable, Sendable {
        package var device: String
        package var endpoint: String?
        package var lastHandshake: Timestamp?

        package init(device: String, endpoint: String?, lastHandshake: Timestamp?) {
            (self.device, self.endpoint, self.lastHandshake) = (device, endpoint, lastHandshake)
        }
    }

    package init(
        node: NodeName, address: String, means: String? = nil, tunnels: [Tunnel], roundTrips: [Double?],
        refusal: String? = nil
    ) {
        (self.node, self.address, self.means) = (node, address, means)
        (self.tunnels, self.roundTrips, self.refusal) = (tunnels, roundTrips, refusal)
    }
}

/// What `postern doctor` found.
package struct DoctorReport: Codable, Equatable, Sendable {
    package var findings: [Finding]

    package enum Level: String, Codable, Sendable, Comparable {
        case ok, warning, problem

        private var rank: Int {
            switch self {
            case .ok: 0
            case .warning: 1
            case .problem: 2
            }
        }

        package static func < (left: Self, right: Self) -> Bool { left.rank < right.rank }
    }

    /// One thing that was looked at.
    package struct Finding: Codable, Equatable, Sendable {
        /// What was looked at, in a word or two that programs may rely on.
        package var check: String
        package var level: Level
        package var text: String
        /// What to do; absent when all is well.
        package var advice: String?

        package init(_ check: String, _ level: Level, _ text: String, advice: String? = nil) {
            (self.check, self.level, self.text, self.advice) = (check, level, text, advice)
        }
    }

    package init(findings: [Finding]) { self.findings = findings }

    package var worst: Level { findings.map(\.level).max() ?? .ok }
}
