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

    /// Where the policy stands of which this is true; nil when there is none, or more than one.
    package func reference(where isWanted: (PolicyReference) -> Bool) -> PolicyReference? {
        let found = references.values.filter(isWanted)
        return found.count == 1 ? found.first : nil
    }

    var authorizer: Authorizer { Authorizer(policies: policies, entities: entities) }

    /// Reads the policies. What they name need not exist: an agent may have been removed since, and then a policy
    /// about it is silent. `check()` is for the moment at which policies are written.
    package init(
        policies documents: some Sequence<PolicyDocument>, agents: some Sequence<AgentDefinition>,
        services: some Sequence<ServiceDefinition>, nodes: some Sequence<NodeName>
    ) throws(AuthorizationError) {
        let documents = documents.sorted { $0.name < $1.name }
        let placed = try Self.read(documents)
        references = Dictionary(placed.map { ($0.policy.id, $0.reference) }, uniquingKeysWith: { first, _ in first })
        let agents = Array(agents)
        let services = Array(services)
        let registered = Self.entities(agents: agents, services: services, nodes: nodes)
        do {
            policies = try PolicySet(placed.map(\.policy))
            entities = try Entities(registered)
        } catch {
            throw .snapshot("\(error)")
        }
        index = IndexedAuthorizer(policies: policies, entities: entities)
        existing = Set(registered.flatMap { [$0.uid] + $0.parents })
        // Unique: a name that comes twice made an entity that came twice.
        self.agents = Dictionary(agents.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        self.services = Dictionary(services.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// Everything of a network map that policy speaks about.
    package init(_ map: NetworkMap) throws(AuthorizationError) {
        try self.init(
            policies: map.policies.values, agents: map.agents.values, services: map.services.values,
            nodes: map.nodes.keys)
    }
}

// MARK: - Policies

extension PolicySnapshot {
    /// An id is unique in its document only, so the set knows the policy as `document:id`.
    private static func read(
        _ documents: [PolicyDocument]
    ) throws(AuthorizationError) -> [(policy: Policy, reference: PolicyReference)] {
        var placed: [(policy: Policy, reference: PolicyReference)] = []
        var problems: [AuthorizationError.Problem] = []
        for document in documents {
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
        }
        guard problems.isEmpty else { throw .policies(Array(problems.prefix(AuthorizationError.maximumProblems))) }
        return placed
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
        agents: [AgentDefinition], services: [ServiceDefinition], nodes: some Sequence<NodeName>
    ) -> [Entity] {
        MeshSchema.actions
            + agents.map {
                Entity(
                    $0.name.entity, in: $0.groups.map(\.entity) + [$0.name.parent].compactMap { $0?.entity },
                    attributes: ["owner": .entity($0.owner.entity), "disabled": .bool($0.disabled)])
            }
            + crews(of: agents)
            + Set(agents.map(\.owner)).map { Entity($0.entity) }
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
