import Authorization
package import CoordinationAPI
package import Mesh

/// What the admins said, all together: changed statement by statement, and judged as a whole.
package struct Definitions: Equatable, Sendable {
    package var agents: [AgentName: AgentDefinition] = [:]
    package var services: [ServiceName: ServiceDefinition] = [:]
    package var policies: [PolicyName: PolicyDocument] = [:]
    package var nodes: Set<NodeName> = []

    package init(nodes: Set<NodeName> = []) { self.nodes = nodes }

    /// Takes up a statement that is in the registry already.
    package mutating func take(_ statement: Statement) {
        switch statement {
        case .agent(let agent): agents[agent.name] = agent
        case .service(let service): services[service.name] = service
        case .policy(let policy): policies[policy.name] = policy
        case .admin, .removal, .node, .session, .renewal, .sessionEnd, .login, .presence, .checkpoint: break
        }
    }

    /// Applies a statement that an admin makes.
    package mutating func apply(_ statement: Statement) throws(Refusal) {
        switch statement {
        case .agent(let agent): try require(agent.nodes, for: "agent `\(agent.name)`")
        case .service(let service): try require([service.node], for: "service `\(service.name)`")
        case .policy(let policy):
            guard policy.text.utf8.count <= PolicyDocument.maximumLength else {
                throw .invalid("policy document `\(policy.name)` is longer than \(PolicyDocument.maximumLength) bytes")
            }
        case .removal(let entry): return try remove(entry)
        case .admin: return
        case .node, .session, .renewal, .sessionEnd, .checkpoint:
            throw .forbidden("a node says this of itself; an admin cannot")
        case .login, .presence: throw .forbidden("a person says this of a session; it changes nothing")
        }
        take(statement)
    }

    private func require(_ needed: Set<NodeName>, for what: String) throws(Refusal) {
        guard let unknown = needed.subtracting(nodes).min() else { return }
        throw .invalid("\(what) names node `\(unknown)`, which has not joined")
    }

    private mutating func remove(_ entry: Entry) throws(Refusal) {
        let found =
            switch entry {
            case .agent(let name): agents.removeValue(forKey: name) != nil
            case .service(let name): services.removeValue(forKey: name) != nil
            case .policy(let name): policies.removeValue(forKey: name) != nil
            case .admin: true  // the chain of admins knows
            case .node(let name): nodes.remove(name) != nil
            }
        guard found else { throw .missing("there is no \(entry.kind) `\(entry.name)` to remove") }
    }

    /// Whether the policies can be decided by, and whether those just written name only what exists: a misspelt name
    /// in a forbid would let everything through.
    ///
    /// Policies that stand already may name what was removed since; they are silent about it.
    package func check(written: Set<PolicyName>, people: Set<UserName> = []) throws(Refusal) {
        do {
            _ = try snapshot(of: policies.values, people)
            try snapshot(of: policies.values.filter { written.contains($0.name) }, people).check()
        } catch let error as AuthorizationError { throw .invalid(error.description) } catch {
            throw .invalid("the policies are refused: \(error)")
        }
    }

    private func snapshot(
        of policies: some Sequence<PolicyDocument>, _ people: Set<UserName>
    ) throws -> PolicySnapshot {
        try PolicySnapshot(
            policies: policies, agents: agents.values, services: services.values, nodes: nodes, people: people)
    }
}
