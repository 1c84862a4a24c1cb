package import CoordinationAPI
package import Crypto
package import Mesh

/// How long sessions live, and how many there may be.
package enum SessionLimit {
    /// A session that is not renewed is dead after this, unless an operator chose less.
    package static let lease = Duration.seconds(15 * 60)
    /// However often it is renewed, a session ends this long after its start.
    package static let maximum = Duration.seconds(8 * 3600)
    package static let perNode = 4096
}

/// What a node says of a session of its own; what is left is the registry's say.
package struct SessionClaim: Sendable {
    package enum Kind: Equatable, Sendable {
        /// The session starts, goes on, or has another key.
        case statement(SessionStatement)
        case renewal(SessionRenewal)
    }

    package let kind: Kind
    package let node: NodeName
    package let madeAt: Timestamp
    package let envelope: Envelope

    package var id: SessionID {
        switch kind {
        case .statement(let statement): statement.id
        case .renewal(let renewal): renewal.id
        }
    }

    package init(
        _ envelope: Envelope, node: NodeName, key: P256.Signing.PublicKey, mesh: MeshDomain, pool: AddressPool,
        now: Timestamp
    ) throws(Refusal) {
        let document: Document
        do { document = try envelope.document(signedByOneOf: [key], of: mesh) } catch {
            throw .invalid("the session's statement is refused: \(error)")
        }
        try Freshness.check(document.madeAt, now: now)
        switch document.statement {
        case .session(let statement):
            guard statement.node == node else {
                throw .forbidden("node `\(node)` cannot start a session on node `\(statement.node)`")
            }
            try PeerRules.check(statement.key)
            for endpoint in statement.endpoints { try PeerRules.check(endpoint, pool: pool) }
            kind = .statement(statement)
        case .renewal(let renewal): kind = .renewal(renewal)
        default: throw .invalid("the signed statement is not one of a session")
        }
        (self.node, self.madeAt, self.envelope) = (node, document.madeAt, envelope)
    }
}

/// What the registry knows that bears on a session.
package struct SessionFacts: Sendable {
    /// The agent and those above it, as far as they are defined.
    package var agents: [AgentName: AgentDefinition]
    /// The session of the same id, though its lease may be over.
    package var existing: SessionRecord?
    /// Those whose logins count.
    package var people: [UserName: SigningPublicKey]
    package var mesh: MeshDomain
    /// Whether a peer other than this session has the WireGuard key.
    package var keyTaken: Bool
    package var sessionsOfNode: Int
    package var free: MeshOffset?
    /// Until then a session whose lease ran out may be renewed still: while the coordinator was away, it could not be.
    package var grace: Timestamp
    /// How long a session lives that is not renewed.
    package var lease: Duration

    package init(
        agents: [AgentName: AgentDefinition], existing: SessionRecord?, people: [UserName: SigningPublicKey],
        mesh: MeshDomain, keyTaken: Bool, sessionsOfNode: Int, free: MeshOffset?,
        grace: Timestamp = Timestamp(rawValue: .min), lease: Duration = SessionLimit.lease
    ) {
        (self.agents, self.existing, self.people, self.mesh) = (agents, existing, people, mesh)
        self.keyTaken = keyTaken
        (self.sessionsOfNode, self.free, self.grace, self.lease) = (sessionsOfNode, free, grace, lease)
    }
}

/// What becomes of a claim: a new peer, or a longer lease of the one there is, whose statement may be another.
package enum SessionPlace: Equatable, Sendable {
    case new(MeshOffset, expires: Timestamp)
    case renewed(expires: Timestamp)
    /// What the session says of itself is replaced: its key, or its places.
    case restated(expires: Timestamp)
}

package enum Sessions {
    package static func decide(
        _ claim: SessionClaim, _ facts: SessionFacts, now: Timestamp
    ) throws(Refusal) -> SessionPlace {
        switch claim.kind {
        case .statement(let wanted):
            try mayRun(wanted.agent, on: wanted.node, facts.agents)
            try checkPerson(behind: wanted, facts, now: facts.existing == nil ? now : nil)
            guard !facts.keyTaken else { throw .conflict("the WireGuard key is another peer's") }
            if let existing = facts.existing {
                return .restated(expires: try restate(wanted, claim.madeAt, existing, facts, now: now))
            }
            guard facts.sessionsOfNode < SessionLimit.perNode else {
                throw Refusal(
                    .full, "node `\(wanted.node)` has \(SessionLimit.perNode) sessions, and cannot have more")
            }
            guard let free = facts.free else { throw Refusal(.full, "the mesh has no free address") }
            return .new(free, expires: now + facts.lease)
        case .renewal(let renewal):
            // To a node, another node's session does not exist: it learns nothing of it.
            guard let existing = facts.existing, existing.statement.node == claim.node else {
                throw .missing("there is no session `\(renewal.id)`")
            }
            try mayRun(existing.statement.agent, on: claim.node, facts.agents)
            try checkPerson(behind: existing.statement, facts, now: nil)
            return .renewed(expires: try lease(of: existing, upTo: renewal.expires, facts, now: now))
        }
    }

    /// A session that says for whom it runs proves it, at its start by what has just been signed.
    private static func checkPerson(
        behind session: SessionStatement, _ facts: SessionFacts, now: Timestamp?
    ) throws(Refusal) {
        guard let proof = session.person else { return }
        let madeAt: Timestamp
        do { madeAt = try proof.person(behind: session.presence, of: facts.people, in: facts.mesh).madeAt } catch {
            throw .forbidden("nobody is proved to stand behind session `\(session.id)`: \(error)")
        }
        if let now { try Freshness.check(madeAt, now: now) }
    }

    private static func restate(
        _ wanted: SessionStatement, _ madeAt: Timestamp, _ existing: SessionRecord, _ facts: SessionFacts,
        now: Timestamp
    ) throws(Refusal) -> Timestamp {
        guard existing.statement.presence == wanted.presence, existing.statement.person == wanted.person else {
            throw .conflict("there is another session of the id `\(wanted.id)`")
        }
        guard madeAt > existing.madeAt else {
            throw .conflict("session `\(wanted.id)` was spoken of at \(existing.madeAt), which is not before \(madeAt)")
        }
        return try lease(of: existing, upTo: now + facts.lease, facts, now: now)
    }

    private static func lease(
        of session: SessionRecord, upTo wanted: Timestamp, _ facts: SessionFacts, now: Timestamp
    ) throws(Refusal) -> Timestamp {
        let id = session.statement.id
        guard now < session.maximum else {
            throw .forbidden("session `\(id)` reached its longest duration at \(session.maximum)")
        }
        // An ended one may be in the registry still, until the next sweep; nobody revives what is dead everywhere else.
        guard now < session.expires || now < facts.grace else {
            throw .forbidden("session `\(id)` was not renewed before its lease ended at \(session.expires)")
        }
        return max(session.expires, min(wanted, now + facts.lease, session.maximum))
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
