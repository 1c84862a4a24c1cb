package import Mesh

/// What somebody signed: a statement, for one mesh, at one moment.
package struct Document: Codable, Equatable, Sendable {
    package let mesh: MeshDomain
    package let madeAt: Timestamp
    package let statement: Statement

    package init(mesh: MeshDomain, madeAt: Timestamp, statement: Statement) {
        (self.mesh, self.madeAt, self.statement) = (mesh, madeAt, statement)
    }
}

/// One change of the registry, signed when it is made: never encoded again, never signed by whoever passes it on.
///
/// Of the same name the newest counts: an older one is not accepted over it.
package enum Statement: Equatable, Sendable {
    // What admins say.
    case admin(AdminStatement)
    case agent(AgentDefinition)
    case service(ServiceDefinition)
    case policy(PolicyDocument)
    case removal(Entry)
    // What a node says of itself and of its sessions, signed by its TLS key.
    case node(NodeStatement)
    case session(SessionStatement)
    case renewal(SessionRenewal)
    case sessionEnd(SessionID)
    // What a person says of himself (Login.swift): by his own key, and by that of his login.
    case login(LoginStatement)
    case presence(PresenceStatement)
    // What the coordinator says of all of them, signed by the CA's key.
    case checkpoint(Checkpoint)
}

/// The name of an entry that admins make or remove.
package enum Entry: Hashable, Sendable {
    case admin(UserName)
    case agent(AgentName)
    case service(ServiceName)
    case policy(PolicyName)
    case node(NodeName)
}

/// What an admin says of another one, or the first admin of himself: whose signatures count from then on.
package struct AdminStatement: Codable, Equatable, Sendable {
    package let name: UserName
    package let key: SigningPublicKey

    package init(name: UserName, key: SigningPublicKey) { (self.name, self.key) = (name, key) }
}

/// What a node says of itself: the key and the places of its WireGuard device.
///
/// Said again, it changes the key or the places.
package struct NodeStatement: Codable, Equatable, Sendable {
    package let name: NodeName
    package let key: WireGuardPublicKey
    /// In the order in which others shall try them, the best first.
    package let endpoints: [Endpoint]

    package static let maximumEndpoints = 8

    package init(name: NodeName, key: WireGuardPublicKey, endpoints: [Endpoint]) {
        (self.name, self.key, self.endpoints) = (name, key, endpoints)
    }
}

/// What a node says of a session that it started. Said again with another key, it changes the key.
package struct SessionStatement: Codable, Equatable, Sendable {
    package let id: SessionID
    package let agent: AgentName
    package let node: NodeName
    package let key: WireGuardPublicKey
    /// In order of preference; none when the session only ever speaks first.
    package let endpoints: [Endpoint]
    /// That it runs for a person; absent where it runs for nobody.
    package let person: PersonProof?

    package init(
        id: SessionID, agent: AgentName, node: NodeName, key: WireGuardPublicKey, endpoints: [Endpoint],
        person: PersonProof? = nil
    ) {
        (self.id, self.agent, self.node, self.key, self.endpoints) = (id, agent, node, key, endpoints)
        self.person = person
    }

    /// What a person must have said for it to run for him.
    package var presence: PresenceStatement { PresenceStatement(session: id, agent: agent, node: node) }
}

/// What a node says of a session that goes on: it also travels from node to node while the coordinator is away.
package struct SessionRenewal: Codable, Equatable, Sendable {
    package let id: SessionID
    package let expires: Timestamp

    package init(id: SessionID, expires: Timestamp) { (self.id, self.expires) = (id, expires) }
}

// MARK: - Coding

extension NodeStatement {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            name: try container.decode(NodeName.self, forKey: .name),
            key: try container.decode(WireGuardPublicKey.self, forKey: .key),
            endpoints: try container.decodeEndpoints(1...Self.maximumEndpoints, forKey: .endpoints))
    }
}

extension SessionStatement {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            id: try container.decode(SessionID.self, forKey: .id),
            agent: try container.decode(AgentName.self, forKey: .agent),
            node: try container.decode(NodeName.self, forKey: .node),
            key: try container.decode(WireGuardPublicKey.self, forKey: .key),
            endpoints: try container.decodeEndpoints(0...NodeStatement.maximumEndpoints, forKey: .endpoints),
            person: try container.decodeIfPresent(PersonProof.self, forKey: .person))
    }
}

extension Statement: Codable {
    private enum Kind: String, CodingKey {
        case admin, agent, service, policy, removal, node, session, renewal, sessionEnd, login, presence
        case checkpoint
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Kind.self)
        switch try container.onlyKey() {
        case .admin: self = .admin(try container.decode(AdminStatement.self, forKey: .admin))
        case .agent: self = .agent(try container.decode(AgentDefinition.self, forKey: .agent))
        case .service: self = .service(try container.decode(ServiceDefinition.self, forKey: .service))
        case .policy: self = .policy(try container.decode(PolicyDocument.self, forKey: .policy))
        case .removal: self = .removal(try container.decode(Entry.self, forKey: .removal))
        case .node: self = .node(try container.decode(NodeStatement.self, forKey: .node))
        case .session: self = .session(try container.decode(SessionStatement.self, forKey: .session))
        case .renewal: self = .renewal(try container.decode(SessionRenewal.self, forKey: .renewal))
        case .sessionEnd: self = .sessionEnd(try container.decode(SessionID.self, forKey: .sessionEnd))
        case .login: self = .login(try container.decode(LoginStatement.self, forKey: .login))
        case .presence: self = .presence(try container.decode(PresenceStatement.self, forKey: .presence))
        case .checkpoint: self = .checkpoint(try container.decode(Checkpoint.self, forKey: .checkpoint))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Kind.self)
        switch self {
        case .admin(let statement): try container.encode(statement, forKey: .admin)
        case .agent(let definition): try container.encode(definition, forKey: .agent)
        case .service(let definition): try container.encode(definition, forKey: .service)
        case .policy(let document): try container.encode(document, forKey: .policy)
        case .removal(let entry): try container.encode(entry, forKey: .removal)
        case .node(let statement): try container.encode(statement, forKey: .node)
        case .session(let statement): try container.encode(statement, forKey: .session)
        case .renewal(let renewal): try container.encode(renewal, forKey: .renewal)
        case .sessionEnd(let id): try container.encode(id, forKey: .sessionEnd)
        case .login(let login): try container.encode(login, forKey: .login)
        case .presence(let presence): try container.encode(presence, forKey: .presence)
        case .checkpoint(let checkpoint): try container.encode(checkpoint, forKey: .checkpoint)
        }
    }
}

extension KeyedDecodingContainer {
    /// The one member of an object that must have exactly one.
    func onlyKey() throws -> Key {
        guard let key = allKeys.first, allKeys.count == 1 else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: codingPath, debugDescription: "it must have exactly one known member"))
        }
        return key
    }

    fileprivate func decodeEndpoints(_ bounds: ClosedRange<Int>, forKey key: Key) throws -> [Endpoint] {
        let endpoints = try decode([Endpoint].self, forKey: key)
        guard bounds.contains(endpoints.count), Set(endpoints).count == endpoints.count else {
            throw DecodingError.dataCorruptedError(
                forKey: key, in: self,
                debugDescription: "there must be \(bounds.lowerBound) to \(bounds.upperBound) endpoints, none twice")
        }
        return endpoints
    }
}
