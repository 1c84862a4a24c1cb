import Cedar
package import Mesh

/// The policies, agents and services of one moment: all that a decision rests on.
package struct PolicySnapshot: Sendable {
    let policies: PolicySet
    /// The same policies and entities, made ready for many questions.
    let index: IndexedAuthorizer
    /// Where each policy stands, by its id in `policies`.
    let references: [Policy.ID: PolicyReference]
    let entities: Entities
    /// Everything that a definition names.
    let existing: Set<EntityUID>
    let agents: [AgentName: AgentDefinition]
    let services: [ServiceName: ServiceDefinition]
    private let documents: [PolicyName: ReadDocument]
    private let registered: [EntityUID: Entity]

    /// Where the policy stands of which this is true; nil when there is none, or more than one.
    package func reference(where isWanted: (PolicyReference) -> Bool) -> PolicyReference? {
        let found = references.values.filter(isWanted)
        return found.count == 1 ? found.first : nil
    }

    var authorizer: Authorizer { Authorizer(policies: policies, entities: entities) }

    /// Reads the policies. `people` are those beside the agents' owners. What they name need not exist: an agent may have been removed since, and then a policy
    /// about it is silent. `check()` is for the moment at which policies are written.
    ///
    /// - Parameter old: a snapshot from before; what is the same in it is not read again.
    package init(
        policies documents: some Sequence<PolicyDocument>, agents: some Sequence<AgentDefinition>,
        services: some Sequence<ServiceDefinition>, nodes: some Sequence<NodeName>,
        people: some Sequence<UserName> = EmptyCollection(), after old: PolicySnapshot? = nil
    ) throws(AuthorizationError) {
        let documents = documents.sorted { $0.name < $1.name }
        let read = try Self.read(documents, after: old?.documents ?? [:])
        let placed = read.flatMap(\.policies)
        references = Dictionary(placed.map { ($0.policy.id, $0.reference) }, uniquingKeysWith: { first, _ in first })
        let agents = Array(agents)
        let services = Array(services)
        let registered = Self.entities(agents: agents, services: services, nodes: nodes, people: people)
        do {
            policies = try PolicySet(placed.map(\.policy))
            if let changed = old?.changed(to: registered, read) {
                (entities, index) = changed
            } else {
                entities = try Entities(registered)
                index = IndexedAuthorizer(policies: policies, entities: entities)
            }
        } catch {
            throw .snapshot("\(error)")
        }
        self.documents = Dictionary(
            zip(documents.map(\.name), read), uniquingKeysWith: { first, _ in first })
        // Unique: a name that comes twice made an entity that came twice.
        self.registered = Dictionary(registered.map { ($0.uid, $0) }, uniquingKeysWith: { first, _ in first })
        existing = Set(registered.flatMap { [$0.uid] + $0.parents })
        self.agents = Dictionary(agents.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        self.services = Dictionary(services.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// Everything of a network map that policy speaks about.
    package init(_ map: NetworkMap, after old: PolicySnapshot? = nil) throws(AuthorizationError) {
        try self.init(
            policies: map.policies.values, agents: map.agents.values, services: map.services.values,
            nodes: map.nodes.keys, after: old)
    }
}

// MARK: - Changes

extension PolicySnapshot {
    /// The entities and the index with nothing touched but what differs; nil where all must be read again.
    private func changed(
        to registered: [Entity], _ read: [ReadDocument]
    ) -> (entities: Entities, index: IndexedAuthorizer)? {
        let wanted = Dictionary(registered.map { ($0.uid, $0) }, uniquingKeysWith: { first, _ in first })
        // Somebody who comes twice is an error, which making all anew tells.
        guard wanted.count == registered.count else { return nil }
        var (entities, index) = (entities, index)
        do {
            for uid in self.registered.keys where wanted[uid] == nil {
                entities.remove(uid)
                index.removeEntity(uid)
            }
            for entity in registered where self.registered[entity.uid] != entity {
                try entities.insert(entity)
                try index.insert(entity)
            }
            let kept = Set(read.map(\.identity))
            for document in documents.values where !kept.contains(document.identity) {
                for placed in document.policies { index.removePolicy(placed.policy.id) }
            }
            let known = Set(documents.values.map(\.identity))
            for document in read where !known.contains(document.identity) {
                for placed in document.policies { try index.insert(placed.policy) }
            }
        } catch { return nil }
        return (entities, index)
    }
}

// MARK: - Policies

/// A document's policies, each with the place where it stands.
private final class ReadDocument: Sendable {
    let text: String
    let policies: [(policy: Policy, reference: PolicyReference)]

    init(_ text: String, _ policies: [(policy: Policy, reference: PolicyReference)]) {
        (self.text, self.policies) = (text, policies)
    }

    var identity: ObjectIdentifier { ObjectIdentifier(self) }
}

extension PolicySnapshot {
    /// An id is unique in its document only, so the set knows the policy as `document:id`.
    private static func read(
        _ documents: [PolicyDocument], after old: [PolicyName: ReadDocument]
    ) throws(AuthorizationError) -> [ReadDocument] {
        var read: [ReadDocument] = []
        var problems: [AuthorizationError.Problem] = []
        for document in documents {
            if let known = old[document.name], known.text == document.text {
                read.append(known)
                continue
            }
            var placed: [(policy: Policy, reference: PolicyReference)] = []
            do throws(ParseError) {
                for var policy in try PolicySet(parsing: document.text).policies {
                    let reference = PolicyReference(
                        document: document.name, id: policy.id, line: policy.range.start.line,
                        column: policy.range.start.column)
                    if !isID(policy.id) { problems.append(badID(reference)) }
                    policy.id = "\(document.name):\(policy.id)"
                    placed.append((policy, reference))
                }
            } catch {
                problems += error.diagnostics.map { .init(document: document.name, diagnostic: $0) }
            }
            read.append(ReadDocument(document.text, placed))
        }
        guard problems.isEmpty else { throw .policies(Array(problems.prefix(AuthorizationError.maximumProblems))) }
        return read
    }

    /// Ids reach terminals and logs, so they are plain text.
    private static func isID(_ id: String) -> Bool {
        id.utf8.count <= 128 && id.utf8.allSatisfy { (0x20...0x7E).contains($0) && $0 != UInt8(ascii: "`") }
    }

    private static func badID(_ reference: PolicyReference) -> AuthorizationError.Problem {
        AuthorizationError.Problem(
            document: reference.document, line: reference.line, column: reference.column,
            message: "the `@id` of a policy is at most 128 printable ASCII characters without a backtick", excerpt: nil)
    }
}

extension AuthorizationError.Problem {
    init(document: PolicyName, diagnostic: Diagnostic) {
        let start = diagnostic.range.start
        self.init(
            document: document, line: start.line, column: start.column, message: diagnostic.message,
            excerpt: diagnostic.pointer)
    }
}

// MARK: - Entities

extension PolicySnapshot {
    private static func entities(
        agents: [AgentDefinition], services: [ServiceDefinition], nodes: some Sequence<NodeName>,
        people: some Sequence<UserName>
    ) -> [Entity] {
        MeshSchema.actions
            + agents.map {
                Entity(
                    $0.name.entity, in: $0.groups.map(\.entity) + [$0.name.parent].compactMap { $0?.entity },
                    attributes: ["owner": .entity($0.owner.entity), "disabled": .bool($0.disabled)])
            }
            + crews(of: agents)
            + Set(agents.map(\.owner) + people).map { Entity($0.entity) }
            + services.map {
                Entity(
                    $0.name.entity, in: $0.tags.map(\.entity),
                    attributes: [
                        "protocol": .string(Text($0.protocol.rawValue)), "external": .bool(false),
                        "node": .entity($0.node.entity),
                    ])
            }
            + nodes.map { Entity($0.entity) }
    }

    /// The agents that have no definition, only others below them: `a` and `a/b` when there is `a/b/c` alone.
    private static func crews(of agents: [AgentDefinition]) -> [Entity] {
        let defined = Set(agents.map(\.name))
        var crews: Set<AgentName> = []
        for agent in agents {
            var name = agent.name
            while let parent = name.parent {
                if !defined.contains(parent) { crews.insert(parent) }
                name = parent
            }
        }
        return crews.map { Entity($0.entity, in: [$0.parent].compactMap { $0?.entity }) }
    }
}
