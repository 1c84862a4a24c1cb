import Authorization
package import CoordinationAPI
package import Mesh

/// The map of the mesh and, for every node, what of it the node needs, kept up to date change by change.
///
/// A node's map is a set of items. An item may be in it for several reasons, which are counted:
///
///     a node            it is itself; a service in the map is on it; a session in the map is of it
///     a service         it is on the node; an agent that the node may launch may be granted it (each such agent)
///     a session         it is of the node; its agent may be granted a service on the node
///     an agent          the node may launch it, or one below it; so for the agent of each session in the map
///
/// So a change costs what it touches, however many nodes there are. ``MapContents/items(for:mayReach:)`` says the same
/// from nothing.
package struct MapIndex: Sendable {
    package private(set) var contents: MapContents
    package private(set) var version: UInt64

    private var reach = ConnectReach()
    /// What of `reach` was counted.
    private var services: [AgentName: Set<ServiceName>] = [:]
    private var agents: [ServiceName: Set<AgentName>] = [:]
    /// The nodes of the services that an agent may be granted, and how many services of each.
    private var targets: [AgentName: [NodeName: Int]] = [:]
    private var sessions: [AgentName: Set<SessionID>] = [:]

    private var reasons: [NodeName: [MapItem: Int]] = [:]
    private var holders: [MapItem: Set<NodeName>] = [:]
    /// What the change at hand met when it came.
    private var before = Before()

    private struct Before {
        var isHeld: [NodeName: [MapItem: Bool]] = [:]
        var contents: [MapItem: Content?] = [:]
    }

    private enum Content: Equatable {
        case definition(Envelope)
        case node(MapMessage.NodeEntry)
        case session(MapMessage.SessionEntry)
    }

    /// How many counts were changed since this was made: the cost of changes, for benches and tests.
    package private(set) var visits = 0

    /// An index of a mesh without anything in it.
    package init(mesh: MeshDomain, pool: AddressPool, version: UInt64 = 0) {
        contents = MapContents(mesh: mesh, pool: pool)
        self.version = version
    }

    /// Makes changes that are one version together, and says whose maps they change, and in what.
    package mutating func apply(_ changes: [MapChange], version: UInt64) throws -> MapDelta {
        // What can fail comes first, so that a version is applied as a whole or not at all.
        var scopes: [PolicyName: ConnectReach.Scopes] = [:]
        for case .policy(let name, let policy?) in changes { scopes[name] = try .init(of: policy.document) }
        before = Before()
        defer { before = Before() }
        self.version = version
        var everywhere: Set<MapItem> = []
        for change in changes {
            switch change {
            case .admins(let chain):
                if chain != contents.admins { everywhere.insert(.admins) }
                contents.admins = chain
            case .policy(let name, let policy): set(name, policy, policy == nil ? nil : scopes[name])
            case .agent(let name, let agent): set(name, agent)
            case .service(let name, let service): set(name, service)
            case .node(let name, let entry): set(name, entry)
            case .session(let id, let session): set(id, session)
            }
        }
        for (item, old) in before.contents where old != content(of: item) {
            if case .policy = item { everywhere.insert(item) }
        }
        return MapDelta(version: version, everywhere: everywhere, nodes: differences())
    }

    /// The whole map of a node.
    package func map(for node: NodeName) -> MapMessage {
        let items = reasons[node].map { Array($0.keys) } ?? []
        return contents.map(
            of: [.admins] + contents.policies.keys.map { .policy($0) } + items.filter { content(of: $0) != nil },
            version: version)
    }

    /// What of these items stands in the map of a node, and what is gone.
    package func changes(of items: Set<MapItem>, for node: NodeName, from version: UInt64) -> MapChanges {
        contents.changes(of: items, from: version) { reasons[node]?[$0] != nil }
    }

    /// The nodes whose maps hold the item.
    package func nodes(holding item: MapItem) -> Set<NodeName> {
        content(of: item) == nil ? [] : (holders[item] ?? []).filter { contents.nodes[$0] != nil }
    }

    /// Whether the agent may one day be granted something on the node: whether the two may need to know each other.
    package func mayReach(_ agent: AgentName, _ node: NodeName) -> Bool { targets[agent]?[node] != nil }
}

/// What a version changed: of which maps, and in which items.
package struct MapDelta: Equatable, Sendable {
    package let version: UInt64
    package let everywhere: Set<MapItem>
    package let nodes: [NodeName: Set<MapItem>]

    package init(version: UInt64, everywhere: Set<MapItem> = [], nodes: [NodeName: Set<MapItem>] = [:]) {
        (self.version, self.everywhere, self.nodes) = (version, everywhere, nodes)
    }

    /// The items of one node's map.
    package func items(for node: NodeName) -> Set<MapItem> { everywhere.union(nodes[node] ?? []) }
}

// MARK: - One kind of change each

extension MapIndex {
    private mutating func set(_ name: PolicyName, _ policy: MapContents.Policy?, _ scopes: ConnectReach.Scopes?) {
        note(.policy(name))
        let touched = reach.set(name, scopes: scopes)
        contents.policies[name] = policy
        for agent in touched { follow(agent) }
    }

    private mutating func set(_ name: AgentName, _ agent: MapContents.Agent?) {
        note(.agent(name))
        let old = contents.agents[name]?.definition.nodes ?? []
        let new = agent?.definition.nodes ?? []
        for node in old.subtracting(new) { launch(name, on: node, by: -1) }
        contents.agents[name] = agent
        for agent in reach.set(name, groups: agent?.definition.groups) {
            follow(agent, nodes: agent == name ? old.intersection(new) : nil)
        }
        if agent == nil { follow(name, nodes: []) }
        for node in new.subtracting(old) { launch(name, on: node, by: 1) }
    }

    private mutating func set(_ name: ServiceName, _ service: MapContents.Service?) {
        note(.service(name))
        let old = contents.services[name]?.definition.node
        let new = service?.definition.node
        if let old, old != new {
            for agent in agents[name] ?? [] { count(name, on: old, for: agent, by: -1) }
            bump(.service(name), of: old, by: -1)
        }
        contents.services[name] = service
        reach.set(name, tags: service?.definition.tags)
        guard let new else { return }
        if old != new { bump(.service(name), of: new, by: 1) }
        let (counted, wanted) = (agents[name] ?? [], reach.agents(for: name))
        for agent in counted.subtracting(wanted) { count(name, on: new, for: agent, by: -1) }
        for agent in wanted.subtracting(counted) { count(name, on: new, for: agent, by: 1) }
    }

    private mutating func set(_ name: NodeName, _ entry: MapMessage.NodeEntry?) {
        note(.node(name))
        let existed = contents.nodes.updateValue(entry, for: name) != nil
        if existed != (entry != nil) { bump(.node(name), of: name, by: entry == nil ? -1 : 1) }
    }

    private mutating func set(_ id: SessionID, _ session: MapContents.Session?) {
        note(.session(id))
        if let old = contents.sessions[id], old.agent != session?.agent || old.node != session?.node {
            for node in [old.node] + Array((targets[old.agent] ?? [:]).keys) { show(id, old, to: node, by: -1) }
            sessions[old.agent]?.remove(id)
            if sessions[old.agent]?.isEmpty == true { sessions[old.agent] = nil }
            contents.sessions[id] = nil
        }
        let isNew = contents.sessions.updateValue(session, for: id) == nil
        guard isNew, let session else { return }
        sessions[session.agent, default: []].insert(id)
        for node in [session.node] + Array((targets[session.agent] ?? [:]).keys) { show(id, session, to: node, by: 1) }
    }
}

// MARK: - What follows from what

extension MapIndex {
    /// Brings what an agent may be granted up to date, for those of its nodes that are counted.
    private mutating func follow(_ agent: AgentName, nodes: Set<NodeName>? = nil) {
        let old = services[agent] ?? []
        let new = contents.agents[agent] == nil ? [] : reach.services(for: agent)
        for service in old.subtracting(new) { count(service, for: agent, by: -1, nodes: nodes) }
        for service in new.subtracting(old) { count(service, for: agent, by: 1, nodes: nodes) }
    }

    private mutating func count(_ service: ServiceName, for agent: AgentName, by step: Int, nodes: Set<NodeName>?) {
        guard let node = contents.services[service]?.definition.node else { return }
        count(service, on: node, for: agent, by: step, nodes: nodes)
    }

    /// An agent may be granted a service, or may not any more.
    private mutating func count(
        _ service: ServiceName, on target: NodeName, for agent: AgentName, by step: Int, nodes: Set<NodeName>? = nil
    ) {
        services.change(agent, service, by: step)
        agents.change(service, agent, by: step)
        for node in nodes ?? contents.agents[agent]?.definition.nodes ?? [] {
            bump(.service(service), of: node, by: step)
            bump(.node(target), of: node, by: step)
        }
        guard targets[agent, default: [:]].bump(target, by: step) != nil else { return }
        if targets[agent]?.isEmpty == true { targets[agent] = nil }
        for id in sessions[agent] ?? [] {
            if let session = contents.sessions[id] { show(id, session, to: target, by: step) }
        }
    }

    /// A node may launch an agent, or may not any more.
    private mutating func launch(_ agent: AgentName, on node: NodeName, by step: Int) {
        for name in agent.lineage { bump(.agent(name), of: node, by: step) }
        for service in services[agent] ?? [] {
            bump(.service(service), of: node, by: step)
            if let target = contents.services[service]?.definition.node { bump(.node(target), of: node, by: step) }
        }
    }

    private mutating func show(_ id: SessionID, _ session: MapContents.Session, to node: NodeName, by step: Int) {
        bump(.session(id), of: node, by: step)
        bump(.node(session.node), of: node, by: step)
        for name in session.agent.lineage { bump(.agent(name), of: node, by: step) }
    }
}

// MARK: - Counting, and what became of it

extension MapIndex {
    /// Adds a reason, or takes one away, for an item to be in the map of a node.
    private mutating func bump(_ item: MapItem, of node: NodeName, by step: Int) {
        visits += 1
        guard let wasHeld = reasons[node, default: [:]].bump(item, by: step) else { return }
        before.isHeld[node, default: [:]].keep(wasHeld, for: item)
        if wasHeld, reasons[node]?.isEmpty == true { reasons[node] = nil }
        holders.change(item, node, by: wasHeld ? -1 : 1)
    }

    private mutating func note(_ item: MapItem) {
        if before.contents[item] == nil { before.contents[item] = .some(content(of: item)) }
    }

    private func content(of item: MapItem) -> Content? {
        switch item {
        case .admins: nil
        case .policy(let name): contents.policies[name].map { .definition($0.envelope) }
        case .agent(let name): contents.agents[name].map { .definition($0.envelope) }
        case .service(let name): contents.services[name].map { .definition($0.envelope) }
        case .node(let name): contents.nodes[name].map { .node($0) }
        case .session(let id): contents.sessions[id].map { .session($0.entry) }
        }
    }

    /// The items of each node whose map is another than before.
    private func differences() -> [NodeName: Set<MapItem>] {
        let changed = before.contents.filter { item, old in old != content(of: item) }
        var all: [NodeName: Set<MapItem>] = [:]
        for (node, items) in before.isHeld where contents.nodes[node] != nil {
            let held = reasons[node] ?? [:]
            let fresh = items.filter { item, wasHeld in
                let exists = content(of: item) != nil
                let isThere = exists && held[item] != nil
                let wasThere = wasHeld && before.contents[item].map { $0 != nil } ?? exists
                return wasThere != isThere || wasThere && changed[item] != nil
            }
            if !fresh.isEmpty { all[node] = Set(fresh.keys) }
        }
        // Then the maps that hold such an item as they did before.
        for item in changed.keys {
            for node in holders[item] ?? [] where before.isHeld[node]?[item] == nil && contents.nodes[node] != nil {
                all[node, default: []].insert(item)
            }
        }
        return all
    }
}

extension Dictionary where Value == Int {
    /// Changes a count; nil if the key neither came nor went, or else whether it was there.
    fileprivate mutating func bump(_ key: Key, by step: Int) -> Bool? {
        guard let index = index(forKey: key) else {
            self[key] = step
            return false
        }
        values[index] += step
        guard values[index] == 0 else { return nil }
        remove(at: index)
        return true
    }
}

extension Dictionary {
    /// Sets a value where there is none.
    fileprivate mutating func keep(_ value: Value, for key: Key) {
        if self[key] == nil { self[key] = value }
    }
}

extension Dictionary where Value: SetAlgebra {
    /// Adds a member to a set, or removes it, and the set with its last one.
    fileprivate mutating func change(_ key: Key, _ member: Value.Element, by step: Int) {
        if step > 0 {
            self[key, default: []].insert(member)
        } else {
            self[key]?.remove(member)
            if self[key]?.isEmpty == true { self[key] = nil }
        }
    }
}

extension Dictionary {
    /// Sets or removes a value, and gives the old one.
    fileprivate mutating func updateValue(_ value: Value?, for key: Key) -> Value? {
        guard let value else { return removeValue(forKey: key) }
        return updateValue(value, forKey: key)
    }
}
