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

/// One change of the registry. Admins sign the first four; a node signs what it says of itself and of its sessions.
package enum Statement: Equatable, Sendable {
    case agent(AgentDefinition)
    case service(ServiceDefinition)
    case policy(PolicyDocument)
    case removal(Entry)
    case node(NodeStatement)
    case session(SessionStatement)
}

/// The name of an entry that admins keep.
package enum Entry: Hashable, Sendable {
    case agent(AgentName)
    case service(ServiceName)
    case policy(PolicyName)
}

/// What a node says of itself: the key and the place of its WireGuard device.
package struct NodeStatement: Codable, Equatable, Sendable {
    package let name: NodeName
    package let key: WireGuardPublicKey
    package let endpoint: Endpoint

    package init(name: NodeName, key: WireGuardPublicKey, endpoint: Endpoint) {
        (self.name, self.key, self.endpoint) = (name, key, endpoint)
    }
}

/// What a node says of a session that it started.
package struct SessionStatement: Codable, Equatable, Sendable {
    package let id: SessionID
    package let agent: AgentName
    package let node: NodeName
    package let key: WireGuardPublicKey
    package let endpoint: Endpoint

    package init(id: SessionID, agent: AgentName, node: NodeName, key: WireGuardPublicKey, endpoint: Endpoint) {
        (self.id, self.agent, self.node, self.key, self.endpoint) = (id, agent, node, key, endpoint)
    }
}

extension Statement: Codable {
    private enum Kind: String, CodingKey { case agent, service, policy, removal, node, session }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Kind.self)
        switch try container.onlyKey() {
        case .agent: self = .agent(try container.decode(AgentDefinition.self, forKey: .agent))
        case .service: self = .service(try container.decode(ServiceDefinition.self, forKey: .service))
        case .policy: self = .policy(try container.decode(PolicyDocument.self, forKey: .policy))
        case .removal: self = .removal(try container.decode(Entry.self, forKey: .removal))
        case .node: self = .node(try container.decode(NodeStatement.self, forKey: .node))
        case .session: self = .session(try container.decode(SessionStatement.self, forKey: .session))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Kind.self)
        switch self {
        case .agent(let definition): try container.encode(definition, forKey: .agent)
        case .service(let definition): try container.encode(definition, forKey: .service)
        case .policy(let document): try container.encode(document, forKey: .policy)
        case .removal(let entry): try container.encode(entry, forKey: .removal)
        case .node(let statement): try container.encode(statement, forKey: .node)
        case .session(let statement): try container.encode(statement, forKey: .session)
        }
    }
}

extension Entry: Codable {
    private enum Kind: String, CodingKey { case agent, service, policy }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Kind.self)
        switch try container.onlyKey() {
        case .agent: self = .agent(try container.decode(AgentName.self, forKey: .agent))
        case .service: self = .service(try container.decode(ServiceName.self, forKey: .service))
        case .policy: self = .policy(try container.decode(PolicyName.self, forKey: .policy))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Kind.self)
        switch self {
        case .agent(let name): try container.encode(name, forKey: .agent)
        case .service(let name): try container.encode(name, forKey: .service)
        case .policy(let name): try container.encode(name, forKey: .policy)
        }
    }
}

extension KeyedDecodingContainer {
    /// The one member of an object that must have exactly one.
    fileprivate func onlyKey() throws -> Key {
        guard let key = allKeys.first, allKeys.count == 1 else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: codingPath, debugDescription: "it must have exactly one known member"))
        }
        return key
    }
}
