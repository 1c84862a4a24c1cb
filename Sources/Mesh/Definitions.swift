/// What an admin says of an agent.
package struct AgentDefinition: Codable, Equatable, Sendable {
    package var name: AgentName
    package var owner: UserName
    package var groups: Set<GroupName>
    /// The nodes that may launch it; none means that nobody may.
    package var nodes: Set<NodeName>
    /// The local users of those nodes that may launch it, beside root.
    package var users: Set<UInt32>
    package var disabled: Bool
    /// What its sessions are given of the node, beside what all are.
    package var provisions: Provisions

    package init(
        name: AgentName, owner: UserName, groups: Set<GroupName> = [], nodes: Set<NodeName> = [],
        users: Set<UInt32> = [], disabled: Bool = false, provisions: Provisions = .none
    ) {
        (self.name, self.owner, self.groups) = (name, owner, groups)
        (self.nodes, self.users, self.disabled, self.provisions) = (nodes, users, disabled, provisions)
    }
}

/// How a service is spoken to.
package enum ServiceProtocol: String, Codable, Sendable, CaseIterable {
    case tcp
    case udp
    /// Echo requests: what answers them is the node itself.
    case icmp

    /// What carries it in packets.
    package var transport: TransportProtocol {
        switch self {
        case .tcp: .tcp
        case .udp: .udp
        case .icmp: .icmp
        }
    }
}

/// What an admin says of a service: where it answers.
package struct ServiceDefinition: Codable, Equatable, Sendable {
    package var name: ServiceName
    package var node: NodeName
    package let `protocol`: ServiceProtocol
    /// Where it listens; nil for `icmp`, which knows no ports, and only for that.
    package let port: Port?
    package var tags: Set<TagName>

    /// What listens at a port; `icmp` does not, and drops it.
    package init(
        name: ServiceName, node: NodeName, protocol: ServiceProtocol, port: Port, tags: Set<TagName> = []
    ) {
        (self.name, self.node, self.protocol, self.tags) = (name, node, `protocol`, tags)
        self.port = `protocol` == .icmp ? nil : port
    }

    /// A node's answers to echo requests.
    package init(echoOf node: NodeName, name: ServiceName, tags: Set<TagName> = []) {
        (self.name, self.node, self.protocol, self.port, self.tags) = (name, node, .icmp, nil, tags)
    }
}

/// One document of policies in the Cedar language.
package struct PolicyDocument: Codable, Equatable, Sendable {
    package var name: PolicyName
    package var text: String

    /// More than any mesh has been seen to need; what is longer is refused before it is parsed.
    package static let maximumLength = 1 << 20

    package init(name: PolicyName, text: String) { (self.name, self.text) = (name, text) }
}

// Sets are written in order, so that the same definition is always the same text.

extension AgentDefinition {
    private enum CodingKeys: CodingKey { case name, owner, groups, nodes, users, disabled, provisions }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.decode(AgentName.self, forKey: .name)
        owner = try container.decode(UserName.self, forKey: .owner)
        groups = try container.decode(Set<GroupName>.self, forKey: .groups)
        nodes = try container.decode(Set<NodeName>.self, forKey: .nodes)
        users = try container.decode(Set<UInt32>.self, forKey: .users)
        disabled = try container.decode(Bool.self, forKey: .disabled)
        provisions = try container.decodeIfPresent(Provisions.self, forKey: .provisions) ?? .none
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        try container.encode(owner, forKey: .owner)
        try container.encode(groups.sorted(), forKey: .groups)
        try container.encode(nodes.sorted(), forKey: .nodes)
        try container.encode(users.sorted(), forKey: .users)
        try container.encode(disabled, forKey: .disabled)
        if provisions != .none { try container.encode(provisions, forKey: .provisions) }
    }
}

extension ServiceDefinition {
    private enum CodingKeys: CodingKey { case name, node, `protocol`, port, tags }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.decode(ServiceName.self, forKey: .name)
        node = try container.decode(NodeName.self, forKey: .node)
        `protocol` = try container.decode(ServiceProtocol.self, forKey: .protocol)
        port = try container.decodeIfPresent(Port.self, forKey: .port)
        tags = try container.decode(Set<TagName>.self, forKey: .tags)
        guard (port == nil) == (`protocol` == .icmp) else {
            throw DecodingError.dataCorruptedError(
                forKey: .port, in: container, debugDescription: "`icmp` has no port, and all else has one")
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        try container.encode(node, forKey: .node)
        try container.encode(`protocol`, forKey: .protocol)
        try container.encodeIfPresent(port, forKey: .port)
        try container.encode(tags.sorted(), forKey: .tags)
    }
}
