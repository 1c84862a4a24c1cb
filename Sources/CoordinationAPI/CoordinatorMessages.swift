package import Mesh

// The coordinator's API, version 1: JSON over HTTPS, mutual TLS on all but the first three.
//
//   GET    /v1/ca                  the CA certificate in PEM: public, checked against the token's fingerprint
//   POST   /v1/join/challenge      ChallengeRequest -> Challenge
//   POST   /v1/join                JoinRequest -> JoinResponse                    with a join token
//   GET    /v1/map                 ?epoch=E&version=V -> MapEvent, a line each    nodes; does not end (MapStream.swift)
//   POST   /v1/applied             AppliedRequest -> VersionResponse              nodes
//   POST   /v1/node                NodeRequest -> VersionResponse                 nodes
//   POST   /v1/node/certificate    NodeCertificateRequest -> CertificateResponse  nodes
//   POST   /v1/sessions            SessionRequest -> SessionResponse              nodes
//   DELETE /v1/sessions/{id}       -> VersionResponse                             the session's node, admins
//   GET    /v1/confirmations       ?version=V&node=N… -> ConfirmationResponse     nodes; held up to 2 s
//   POST   /v1/changes             ChangeRequest -> VersionResponse               admins
//   GET    /v1/registry            -> Registry                                    admins
//   GET    /v1/statements          -> StatementsResponse                          admins
//   GET    /v1/policy-history      ?before=N -> PolicyHistory                     admins
//   POST   /v1/admin-certificates  AdminCertificateRequest -> CertificateResponse admins
//   POST   /v1/join-tokens         JoinTokenRequest -> JoinToken                  admins
//   POST   /v1/audit               records, one a line -> AuditReceipt            nodes; of their own alone
//   GET    /v1/audit/head          ?since=T -> AuditHead                          admins
//   GET    /v1/audit/seal          ?first=N -> a seal, one line                   admins
//   GET    /v1/audit/lines         ?after=N&last=N&count=N -> entries, one a line admins
//
// Every refusal is an ErrorResponse with a status that fits.

/// A machine asks to become a node.
package struct JoinRequest: Codable, Sendable, CustomStringConvertible, CustomReflectable {
    package let secret: String
    /// A certificate signing request in PEM; its signature proves that the node holds its TLS key.
    package let request: String
    /// A ``NodeStatement``, signed with that same key.
    package let statement: Envelope
    /// That the node holds its WireGuard key.
    package let proof: PossessionProof?

    package init(secret: String, request: String, statement: Envelope, proof: PossessionProof? = nil) {
        (self.secret, self.request, self.statement, self.proof) = (secret, request, statement, proof)
    }

    package var description: String { "redacted" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}

/// What makes a machine a node.
package struct JoinResponse: Codable, Sendable {
    package let mesh: MeshDomain
    package let pool: AddressPool
    /// The node's certificate in PEM.
    package let certificate: String
    /// The first admin's public key (base64, uncompressed); its fingerprint stands in the token.
    package let adminKey: String

    package init(mesh: MeshDomain, pool: AddressPool, certificate: String, adminKey: String) {
        (self.mesh, self.pool, self.certificate, self.adminKey) = (mesh, pool, certificate, adminKey)
    }
}

/// The map as it travels and as it is kept on disk: statements with their signatures, and the places given to peers.
package struct MapMessage: Codable, Equatable, Sendable {
    package let mesh: MeshDomain
    package let pool: AddressPool
    package let version: UInt64
    /// Admins (with removals of admins, in the order in which they were made), agents, services and policies, each
    /// signed by an admin.
    package let definitions: [Envelope]
    package let nodes: [NodeEntry]
    package let sessions: [SessionEntry]

    /// A node's own statement, and the certificate whose key signed it.
    package struct NodeEntry: Codable, Equatable, Sendable {
        package let peer: PeerID
        package let offset: MeshOffset
        /// In PEM; issued by the CA.
        package let certificate: String
        package let statement: Envelope

        package init(peer: PeerID, offset: MeshOffset, certificate: String, statement: Envelope) {
            (self.peer, self.offset, self.certificate, self.statement) = (peer, offset, certificate, statement)
        }
    }

    /// A session's statement, signed by its node.
    package struct SessionEntry: Codable, Equatable, Sendable {
        package let peer: PeerID
        package let offset: MeshOffset
        package let expires: Timestamp
        /// However often it is renewed, the session ends then.
        package let maximum: Timestamp
        package let statement: Envelope

        package init(
            peer: PeerID, offset: MeshOffset, expires: Timestamp, maximum: Timestamp, statement: Envelope
        ) {
            (self.peer, self.offset, self.statement) = (peer, offset, statement)
            (self.expires, self.maximum) = (expires, maximum)
        }
    }

    package init(
        mesh: MeshDomain, pool: AddressPool, version: UInt64, definitions: [Envelope], nodes: [NodeEntry],
        sessions: [SessionEntry]
    ) {
        (self.mesh, self.pool, self.version) = (mesh, pool, version)
        (self.definitions, self.nodes, self.sessions) = (definitions, nodes, sessions)
    }
}

/// A node starts a session: a ``SessionStatement`` signed with its TLS key.
package struct SessionRequest: Codable, Sendable {
    package let statement: Envelope
    package init(statement: Envelope) { self.statement = statement }
}

/// The place given to a session, and the version of the map that holds it.
package struct SessionResponse: Codable, Sendable {
    package let peer: PeerID
    package let offset: MeshOffset
    package let expires: Timestamp
    /// However often it is renewed, the session ends then.
    package let maximum: Timestamp
    package let version: UInt64

    package init(peer: PeerID, offset: MeshOffset, expires: Timestamp, maximum: Timestamp, version: UInt64) {
        (self.peer, self.offset, self.version) = (peer, offset, version)
        (self.expires, self.maximum) = (expires, maximum)
    }
}

/// The version that a change made.
package struct VersionResponse: Codable, Sendable {
    package let version: UInt64
    package init(version: UInt64) { self.version = version }
}

/// Which of the asked nodes said that they applied the version.
package struct ConfirmationResponse: Codable, Sendable {
    package let confirmed: [NodeName]
    package let missing: [NodeName]
    package init(confirmed: [NodeName], missing: [NodeName]) { (self.confirmed, self.missing) = (confirmed, missing) }
}

/// An admin changes the registry: all of the documents, or none.
package struct ChangeRequest: Codable, Sendable {
    package let documents: [Envelope]
    package init(documents: [Envelope]) { self.documents = documents }
    package static let maximumDocuments = 1000
}

/// An admin asks for a join token.
package struct JoinTokenRequest: Codable, Sendable {
    /// The name that the node must take; any, when absent.
    package let node: NodeName?
    package let lifetimeSeconds: Int
    package init(node: NodeName?, lifetimeSeconds: Int) { (self.node, self.lifetimeSeconds) = (node, lifetimeSeconds) }
    package static let lifetimeRange = 10...86_400
}

/// The registry as admins see it.
package struct Registry: Codable, Equatable, Sendable {
    package var mesh: MeshDomain
    package var version: UInt64
    package var admins: [Admin]
    package var nodes: [Node]
    package var agents: [AgentDefinition]
    package var services: [ServiceDefinition]
    package var policies: [PolicyDocument]
    package var sessions: [Session]

    /// An admin whose signatures count.
    package struct Admin: Codable, Equatable, Sendable {
        package var name: UserName
        package var key: Fingerprint

        package init(name: UserName, key: Fingerprint) { (self.name, self.key) = (name, key) }
    }

    /// A node, with the version of the map that it last said it applied, and when.
    package struct Node: Codable, Equatable, Sendable {
        package var name: NodeName
        package var address: String
        package var endpoints: [Endpoint]
        package var applied: UInt64?
        package var seenAt: Timestamp?
        /// When its certificate ends, if it is not renewed.
        package var certificateExpires: Timestamp?

        package init(
            name: NodeName, address: String, endpoints: [Endpoint], applied: UInt64?, seenAt: Timestamp?,
            certificateExpires: Timestamp? = nil
        ) {
            (self.name, self.address, self.endpoints) = (name, address, endpoints)
            (self.applied, self.seenAt, self.certificateExpires) = (applied, seenAt, certificateExpires)
        }
    }

    /// A live session.
    package struct Session: Codable, Equatable, Sendable {
        package var id: SessionID
        package var agent: AgentName
        package var node: NodeName
        package var address: String
        package var expires: Timestamp
        /// For whom it runs, where somebody proved himself.
        package var person: UserName?

        package init(
            id: SessionID, agent: AgentName, node: NodeName, address: String, expires: Timestamp,
            person: UserName? = nil
        ) {
            (self.id, self.agent, self.node, self.address, self.expires) = (id, agent, node, address, expires)
            self.person = person
        }
    }

    package init(
        mesh: MeshDomain, version: UInt64, admins: [Admin] = [], nodes: [Node], agents: [AgentDefinition],
        services: [ServiceDefinition], policies: [PolicyDocument], sessions: [Session]
    ) {
        (self.mesh, self.version, self.admins, self.nodes, self.agents) = (mesh, version, admins, nodes, agents)
        (self.services, self.policies, self.sessions) = (services, policies, sessions)
    }
}

/// Why the coordinator refused.
package struct ErrorResponse: Codable, Error, Equatable, Sendable, CustomStringConvertible {
    /// A word that programs may rely on: `invalid`, `unauthenticated`, `forbidden`, `missing`, `conflict`, `busy`,
    /// `unavailable`, `internal`.
    package let code: String
    /// A sentence for people.
    package let message: String
    package init(code: String, message: String) { (self.code, self.message) = (code, message) }
    package var description: String { message }
}

/// Bounds on bodies, in bytes.
package enum BodyLimit {
    package static let request = 8 << 20
    package static let response = 64 << 20
}
