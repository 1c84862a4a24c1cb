package import CoordinationAPI
package import Crypto
package import Mesh

/// How long sessions live, and how many there may be.
package enum SessionLimit {
    /// A session that is not renewed is dead after this.
    package static let lease = Duration.seconds(15 * 60)
    /// However often it is renewed, a session ends this long after its start.
    package static let maximum = Duration.seconds(8 * 3600)
    package static let perNode = 4096
}

/// A session that its own node asks for; what is left is the registry's say.
package struct SessionClaim: Sendable {
    package let statement: SessionStatement
    package let envelope: Envelope

    package init(
        _ envelope: Envelope, node: NodeName, key: P256.Signing.PublicKey, mesh: MeshDomain, pool: AddressPool,
        now: Timestamp
    ) throws(Refusal) {
        let document: Document
        do { document = try envelope.document(signedByOneOf: [key], of: mesh) } catch {
            throw .invalid("the session's statement is refused: \(error)")
        }
        guard case .session(let statement) = document.statement else {
            throw .invalid("the signed statement is not one of a session")
        }
        guard statement.node == node else {
            throw .forbidden("node `\(node)` cannot start a session on node `\(statement.node)`")
        }
        try Freshness.check(document.madeAt, now: now)
        try PeerRules.check(statement.key)
        for endpoint in statement.endpoints { try PeerRules.check(endpoint, pool: pool) }
        (self.statement, self.envelope) = (statement, envelope)
    }
}

/// A session as the registry keeps it.
package struct SessionRecord: Equatable, Sendable {
    package let agent: AgentName
    package let node: NodeName
    package let key: WireGuardPublicKey
    package let started: Timestamp
    package let expires: Timestamp

    package init(
        agent: AgentName, node: NodeName, key: WireGuardPublicKey, started: Timestamp, expires: Timestamp
    ) {
        (self.agent, self.node, self.key) = (agent, node, key)
        (self.started, self.expires) = (started, expires)
    }
}

/// What the registry knows that bears on a session.
package struct SessionFacts: Sendable {
    /// The agent and those above it, as far as they are defined.
    package var agents: [AgentName: AgentDefinition]
    /// The session of the same id, though its lease may be over.
    package var existing: SessionRecord?
    /// Whether a peer other than this session has the WireGuard key.
    package var keyTaken: Bool
    package var sessionsOfNode: Int
    package var free: MeshOffset?

    package init(
        agents: [AgentName: AgentDefinition], existing: SessionRecord?, keyTaken: Bool, sessionsOfNode: Int,
        free: MeshOffset?
    ) {
        (self.agents, self.existing, self.keyTaken) = (agents, existing, keyTaken)
        (self.sessionsOfNode, self.free) = (sessionsOfNode, free)
    }
}

/// What becomes of a claim: a new peer, or a longer lease of the one there is.
package enum SessionPlace: Equatable, Sendable {
    case new(MeshOffset, expires: Timestamp)
    case renewed(expires: Timestamp)
}

package enum Sessions {
    package static func decide(
        _ claim: SessionClaim, _ facts: SessionFacts, now: Timestamp
    ) throws(Refusal) -> SessionPlace {
        let wanted = claim.statement
        try mayRun(wanted.agent, on: wanted.node, facts.agents)
        guard !facts.keyTaken else { throw .conflict("the WireGuard key is another peer's") }
        if let existing = facts.existing {
            guard (existing.agent, existing.node, existing.key) == (wanted.agent, wanted.node, wanted.key) else {
                throw .conflict("there is another session of the id `\(wanted.id)`")
            }
            let end = existing.started + SessionLimit.maximum
            guard now < end else { throw .forbidden("session `\(wanted.id)` reached its longest duration at \(end)") }
            // An ended one may be in the registry still, until the next sweep; nobody revives what is dead everywhere else.
            guard now < existing.expires else {
                throw .forbidden("session `\(wanted.id)` was not renewed before its lease ended at \(existing.expires)")
            }
            return .renewed(expires: min(now + SessionLimit.lease, end))
        }
        guard facts.sessionsOfNode < SessionLimit.perNode else {
            throw Refusal(.full, "node `\(wanted.node)` has \(SessionLimit.perNode) sessions, and cannot have more")
        }
        guard let free = facts.free else { throw Refusal(.full, "the mesh has no free address") }
        return .new(free, expires: now + SessionLimit.lease)
    }

    /// Whether the definitions let an agent run on a node. A crew that is disabled disables those below it.
    package static func mayRun(
        _ name: AgentName, on node: NodeName, _ agents: [AgentName: AgentDefinition]
    ) throws(Refusal) {
        guard let agent = agents[name] else { throw .missing("there is no agent `\(name)`") }
        guard agent.nodes.contains(node) else {
            throw .forbidden("agent `\(name)` may not be launched on node `\(node)`")
        }
        if let disabled = name.lineage.first(where: { agents[$0]?.disabled == true }) {
            throw .forbidden("agent `\(disabled)` is disabled")
        }
    }
}

extension AgentName {
    /// The agent itself, then those above it.
    package var lineage: [AgentName] {
        Array(sequence(first: self, next: \.parent))
    }
}
