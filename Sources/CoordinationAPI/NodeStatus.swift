package import Mesh

/// What `postern status` shows.
package struct NodeStatus: Codable, Equatable, Sendable {
    package var mesh: MeshDomain
    package var node: NodeName
    /// Whether a person took the mesh down here, with `postern down`.
    package var isDown: Bool
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
    /// Openings and denials that were counted and not told, because their sender had caused too many.
    package var suppressedEvents: UInt64
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
        /// Absent when there was none.
        package var lastHandshake: Timestamp?
        package var received: UInt64
        package var sent: UInt64

        package init(
            name: String, address: String, key: WireGuardPublicKey, endpoint: String?, lastHandshake: Timestamp? = nil,
            received: UInt64, sent: UInt64
        ) {
            (self.name, self.address, self.key) = (name, address, key)
            (self.endpoint, self.lastHandshake) = (endpoint, lastHandshake)
            (self.received, self.sent) = (received, sent)
        }
    }

    /// A session of this node.
    package struct Session: Codable, Equatable, Sendable {
        package var id: SessionID
        package var agent: AgentName
        package var address: String
        package var device: String
        package var expires: Timestamp?
        /// However often it is renewed, it ends then.
        package var maximum: Timestamp?
        package var processID: Int32?
        /// The local user who started it, and so who besides root may end it.
        package var owner: UInt32?
        /// For whom it runs, where somebody proved himself.
        package var person: UserName?

        package init(
            id: SessionID, agent: AgentName, address: String, device: String, expires: Timestamp?,
            maximum: Timestamp? = nil, processID: Int32?, owner: UInt32? = nil, person: UserName? = nil
        ) {
            (self.id, self.agent, self.address, self.device) = (id, agent, address, device)
            (self.expires, self.maximum, self.processID, self.owner) = (expires, maximum, processID, owner)
            self.person = person
        }
    }

    /// How many packets left by one way.
    package struct PacketCount: Codable, Equatable, Sendable {
        package var direction: String
        package var reason: String
        /// Whether they were let pass.
        package var passed: Bool
        package var packets: UInt64
        package var bytes: UInt64
        /// Of the last seconds; absent until there is something to compare with.
        package var packetsPerSecond: Double?

        package init(
            direction: String, reason: String, passed: Bool, packets: UInt64, bytes: UInt64,
            packetsPerSecond: Double? = nil
        ) {
            (self.direction, self.reason, self.passed) = (direction, reason, passed)
            (self.packets, self.bytes, self.packetsPerSecond) = (packets, bytes, packetsPerSecond)
        }
    }

    package init(
        mesh: MeshDomain, node: NodeName, isDown: Bool = false, address: String, address6: String, pool: String,
        mapVersion: UInt64?,
        mapIssuedAt: Timestamp?, mapValidUntil: Timestamp?, coordinatorURL: String, coordinatorError: String?,
        devices: [Device], sessions: [Session], packets: [PacketCount], suppressedEvents: UInt64 = 0,
        problems: [String]
    ) {
        (self.mesh, self.node, self.isDown) = (mesh, node, isDown)
        (self.address, self.address6, self.pool) = (address, address6, pool)
        (self.mapVersion, self.mapIssuedAt, self.mapValidUntil) = (mapVersion, mapIssuedAt, mapValidUntil)
        (self.coordinatorURL, self.coordinatorError) = (coordinatorURL, coordinatorError)
        (self.devices, self.sessions, self.packets) = (devices, sessions, packets)
        (self.suppressedEvents, self.problems) = (suppressedEvents, problems)
    }
}
