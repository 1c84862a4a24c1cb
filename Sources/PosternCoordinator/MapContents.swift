package import CoordinationAPI
package import Mesh

/// All that the mesh's map is made of, before it is pruned for a node.
package struct MapContents: Equatable, Sendable {
    package let mesh: MeshDomain
    package let pool: AddressPool
    /// The chain of admins, in the order in which its statements were made.
    package var admins: [Envelope] = []
    package var policies: [PolicyName: Policy] = [:]
    package var agents: [AgentName: Agent] = [:]
    package var services: [ServiceName: Service] = [:]
    package var nodes: [NodeName: MapMessage.NodeEntry] = [:]
    package var sessions: [SessionID: Session] = [:]

    /// An admin's document of policies, and the statement that it came in.
    package struct Policy: Equatable, Sendable {
        package let document: PolicyDocument
        package let envelope: Envelope
        package init(document: PolicyDocument, envelope: Envelope) {
            (self.document, self.envelope) = (document, envelope)
        }
    }

    package struct Agent: Equatable, Sendable {
        package let definition: AgentDefinition
        package let envelope: Envelope
        package init(definition: AgentDefinition, envelope: Envelope) {
            (self.definition, self.envelope) = (definition, envelope)
        }
    }

    package struct Service: Equatable, Sendable {
        package let definition: ServiceDefinition
        package let envelope: Envelope
        package init(definition: ServiceDefinition, envelope: Envelope) {
            (self.definition, self.envelope) = (definition, envelope)
        }
    }

    /// A session; its agent and node stay what they are as long as it lives.
    package struct Session: Equatable, Sendable {
        package let agent: AgentName
        package let node: NodeName
        package let entry: MapMessage.SessionEntry
        package init(agent: AgentName, node: NodeName, entry: MapMessage.SessionEntry) {
            (self.agent, self.node, self.entry) = (agent, node, entry)
        }
    }

    package init(mesh: MeshDomain, pool: AddressPool) { (self.mesh, self.pool) = (mesh, pool) }
}

/// One change of the contents; nil removes.
package enum MapChange: Equatable, Sendable {
    case admins([Envelope])
    case policy(PolicyName, MapContents.Policy?)
    case agent(AgentName, MapContents.Agent?)
    case service(ServiceName, MapContents.Service?)
    case node(NodeName, MapMessage.NodeEntry?)
    case session(SessionID, MapContents.Session?)
}

/// One thing that a node's map may hold.
package enum MapItem: Hashable, Sendable {
    case admins
    case policy(PolicyName)
    case agent(AgentName)
    case service(ServiceName)
    case node(NodeName)
    case session(SessionID)
}

extension MapContents {
    /// What the map of a node is made of, worked out from nothing: slow and obvious, the measure of ``MapIndex``.
    ///
    /// A node's map holds the admins and the policies; the services on it, and those that the agents which it may
    /// launch may be granted; its own sessions, and those that may reach a service on it; the agents of all these, and
    /// those above them; the nodes of all these, and itself.
    package func items(
        for node: NodeName, mayReach: (AgentName, ServiceName) -> Bool
    ) -> Set<MapItem> {
        let launched = agents.filter { $0.value.definition.nodes.contains(node) }.keys
        let services = self.services.filter { name, service in
            service.definition.node == node || launched.contains { mayReach($0, name) }
        }
        let own = services.filter { $0.value.definition.node == node }.keys
        let sessions = self.sessions.filter { _, session in
            session.node == node || own.contains { mayReach(session.agent, $0) }
        }
        var items: Set<MapItem> = [.admins, .node(node)]
        items.formUnion(policies.keys.map { .policy($0) })
        items.formUnion(services.keys.map { .service($0) })
        items.formUnion(services.values.map { .node($0.definition.node) })
        items.formUnion(sessions.keys.map { .session($0) })
        items.formUnion(sessions.values.map { .node($0.node) })
        for agent in Array(launched) + sessions.values.map(\.agent) {
            items.formUnion(agent.lineage.map { .agent($0) })
        }
        return items.filter(holds)
    }

    /// Whether there is such a thing: a definition may name what is gone.
    private func holds(_ item: MapItem) -> Bool {
        switch item {
        case .admins: true
        case .policy(let name): policies[name] != nil
        case .agent(let name): agents[name] != nil
        case .service(let name): services[name] != nil
        case .node(let name): nodes[name] != nil
        case .session(let id): sessions[id] != nil
        }
    }

    /// A map of some items.
    package func map(of items: some Sequence<MapItem>, version: UInt64) -> MapMessage {
        let changes = changes(of: items, from: version)
        return MapMessage(
            mesh: mesh, pool: pool, version: version, definitions: changes.definitions, nodes: changes.nodes,
            sessions: changes.sessions)
    }

    /// The state of some items. What is not in the contents, or not for `isVisible`, is gone.
    package func changes(
        of items: some Sequence<MapItem>, from version: UInt64, isVisible: (MapItem) -> Bool = { _ in true }
    ) -> MapChanges {
        var parts = Parts()
        for item in items { add(item, to: &parts, isVisible: isVisible(item)) }
        return parts.changes(from: version)
    }

    private func add(_ item: MapItem, to parts: inout Parts, isVisible: Bool) {
        switch item {
        case .admins: parts.admins = admins
        case .policy(let name):
            guard let policy = policies[name] else { return parts.removed.append(.policy(name)) }
            parts.policies.append((name.rawValue, policy.envelope))
        case .agent(let name):
            guard isVisible, let agent = agents[name] else { return parts.removed.append(.agent(name)) }
            parts.agents.append((name.rawValue, agent.envelope))
        case .service(let name):
            guard isVisible, let service = services[name] else { return parts.removed.append(.service(name)) }
            parts.services.append((name.rawValue, service.envelope))
        case .node(let name):
            guard isVisible, let node = nodes[name] else { return parts.removedNodes.append(name) }
            parts.nodes.append(node)
        case .session(let id):
            guard isVisible, let session = sessions[id] else { return parts.removedSessions.append(id) }
            parts.sessions.append(session.entry)
        }
    }

    /// A message in the making. In the end all is in an order of its own, so that one state is one message.
    private struct Parts {
        var admins: [Envelope] = []
        var policies: [(name: String, envelope: Envelope)] = []
        var agents: [(name: String, envelope: Envelope)] = []
        var services: [(name: String, envelope: Envelope)] = []
        var removed: [Entry] = []
        var nodes: [MapMessage.NodeEntry] = []
        var removedNodes: [NodeName] = []
        var sessions: [MapMessage.SessionEntry] = []
        var removedSessions: [SessionID] = []

        func changes(from version: UInt64) -> MapChanges {
            let definitions = [policies, agents, services].map { rows in
                rows.sorted { $0.name < $1.name }.map(\.envelope)
            }
            return MapChanges(
                from: version, definitions: admins + definitions.joined(),
                removed: removed.sorted { ($0.kind, $0.name) < ($1.kind, $1.name) },
                nodes: nodes.sorted { $0.peer < $1.peer }, removedNodes: removedNodes.sorted(),
                sessions: sessions.sorted { $0.peer < $1.peer }, removedSessions: removedSessions.sorted())
        }
    }
}
