import Mesh

extension Entry {
    /// What the entry is, in a word: `agent`.
    package var kind: String {
        switch self {
        case .admin: "admin"
        case .agent: "agent"
        case .service: "service"
        case .policy: "policy"
        case .node: "node"
        }
    }

    package var name: String {
        switch self {
        case .admin(let name): name.rawValue
        case .agent(let name): name.rawValue
        case .service(let name): name.rawValue
        case .policy(let name): name.rawValue
        case .node(let name): name.rawValue
        }
    }
}

extension Statement {
    /// The entry that the statement makes, changes or removes, where it is one of an admin's.
    package var entry: Entry? {
        switch self {
        case .admin(let statement): .admin(statement.name)
        case .agent(let agent): .agent(agent.name)
        case .service(let service): .service(service.name)
        case .policy(let policy): .policy(policy.name)
        case .removal(let entry): entry
        case .node, .session, .renewal, .sessionEnd, .login, .presence, .checkpoint: nil
        }
    }
}

extension Entry: Codable {
    private enum Kind: String, CodingKey { case admin, agent, service, policy, node }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Kind.self)
        switch try container.onlyKey() {
        case .admin: self = .admin(try container.decode(UserName.self, forKey: .admin))
        case .agent: self = .agent(try container.decode(AgentName.self, forKey: .agent))
        case .service: self = .service(try container.decode(ServiceName.self, forKey: .service))
        case .policy: self = .policy(try container.decode(PolicyName.self, forKey: .policy))
        case .node: self = .node(try container.decode(NodeName.self, forKey: .node))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Kind.self)
        switch self {
        case .admin(let name): try container.encode(name, forKey: .admin)
        case .agent(let name): try container.encode(name, forKey: .agent)
        case .service(let name): try container.encode(name, forKey: .service)
        case .policy(let name): try container.encode(name, forKey: .policy)
        case .node(let name): try container.encode(name, forKey: .node)
        }
    }
}
