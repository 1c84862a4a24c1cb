/// A peer's number: given by the coordinator, never given again.
package struct PeerID: RawRepresentable, Hashable, Comparable, Codable, Sendable, CustomStringConvertible {
    package let rawValue: UInt32
    package init?(rawValue: UInt32) {
        guard rawValue != 0 else { return nil }
        self.rawValue = rawValue
    }
    package var description: String { String(rawValue) }
    package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

/// Everything that one node needs to know of its mesh, as it stood at one version.
///
/// A value of this type has been checked: every statement in it bore the signature it needs.
package struct NetworkMap: Equatable, Sendable {
    package var mesh: MeshDomain
    package var pool: AddressPool
    package var version: UInt64
    /// The coordinator's time when it said this; deadlines are measured from here.
    package var issuedAt: Timestamp
    /// Past this the map is as good as empty.
    package var validUntil: Timestamp
    package var nodes: [NodeName: Node]
    package var agents: [AgentName: AgentDefinition]
    package var services: [ServiceName: ServiceDefinition]
    package var policies: [PolicyName: PolicyDocument]
    package var sessions: [SessionID: Session]

    package init(
        mesh: MeshDomain, pool: AddressPool, version: UInt64, issuedAt: Timestamp, validUntil: Timestamp,
        nodes: [NodeName: Node] = [:], agents: [AgentName: AgentDefinition] = [:],
        services: [ServiceName: ServiceDefinition] = [:], policies: [PolicyName: PolicyDocument] = [:],
        sessions: [SessionID: Session] = [:]
    ) {
        (self.mesh, self.pool, self.version) = (mesh, pool, version)
        (self.issuedAt, self.validUntil) = (issuedAt, validUntil)
        (self.nodes, self.agents, self.services) = (nodes, agents, services)
        (self.policies, self.sessions) = (policies, sessions)
    }
}

extension NetworkMap {
    /// A machine of the mesh.
    package struct Node: Equatable, Sendable {
        package var name: NodeName
        package var peer: PeerID
        package var offset: MeshOffset
        package var key: WireGuardPublicKey
        /// In order of preference; at least one.
        package var endpoints: [Endpoint]

        package init(
            name: NodeName, peer: PeerID, offset: MeshOffset, key: WireGuardPublicKey, endpoints: [Endpoint]
        ) {
            (self.name, self.peer, self.offset, self.key, self.endpoints) = (name, peer, offset, key, endpoints)
        }
    }

    /// One run of an agent, on one node, until its lease ends.
    package struct Session: Equatable, Sendable {
        package var id: SessionID
        package var agent: AgentName
        package var node: NodeName
        package var peer: PeerID
        package var offset: MeshOffset
        package var key: WireGuardPublicKey
        /// In order of preference; none when the session only ever speaks first.
        package var endpoints: [Endpoint]
        /// For whom it runs, where somebody proved himself.
        package var person: UserName?
        package var expires: Timestamp
        /// However often it is renewed, the session ends then.
        package var maximum: Timestamp

        package init(
            id: SessionID, agent: AgentName, node: NodeName, peer: PeerID, offset: MeshOffset,
            key: WireGuardPublicKey, endpoints: [Endpoint], person: UserName? = nil, expires: Timestamp,
            maximum: Timestamp
        ) {
            (self.id, self.agent, self.node, self.peer, self.offset) = (id, agent, node, peer, offset)
            (self.key, self.endpoints, self.person) = (key, endpoints, person)
            (self.expires, self.maximum) = (expires, maximum)
        }
    }
}
