import Audit
import Authorization
import CoordinationAPI
import Datapath
import Mesh

// What the node puts into the audit log: flows as the kernel tells of them, and the lives of sessions.
extension Node {
    /// Flows that were opened or denied, and what was only counted.
    func record(_ events: [PacketEvent]) {
        guard !events.isEmpty else { return }
        let sessions = sessions(at: Set(events.compactMap(\.initiator) + events.compactMap(\.ownSlot)))
        for event in events {
            // A connection that the hook lets go on is told where its first packet leaves.
            if event.kind == .opened, event.place == .connect { continue }
            let session = (event.initiator ?? event.ownSlot).flatMap { sessions[$0] }
            trail.record(record(of: event, by: session))
            guard event.suppressed > 0 else { continue }
            var more = AuditEvent(.suppressed, at: clock.utc(at: event.time))
            (more.count, more.place) = (UInt64(event.suppressed), event.place.description)
            describe(session?.id, session?.agent, for: session?.person, in: &more)
            trail.record(more)
        }
    }

    private func record(of event: PacketEvent, by session: NetworkMap.Session?) -> AuditEvent {
        var record = AuditEvent(event.kind == .opened ? .flowOpened : .flowDenied, at: clock.utc(at: event.time))
        describe(session?.id, session?.agent, for: session?.person, in: &record)
        let service = service(at: event)
        (record.service, record.target, record.port) = (service, event.target, event.destinationPort)
        record.transport = event.transportProtocol.map { "\($0)" } ?? "\(event.transport)"
        (record.place, record.reason) = (event.place.description, event.reason.description)
        guard let agent = session?.agent, let service, let policy else { return record }
        if event.reason.isAboutGrants, let said = denial(of: agent, service, event, by: policy) { record.reason = said }
        let now = trustedNow.map { _ in clock.utc(at: event.time) }
        switch policy.decide(agent: agent, action: .connect, service: service, now: now).reason {
        case .permitted(let policies), .forbidden(let policies), .outsideWindow(let policies):
            record.policies = policies.map(\.description)
        default: break
        }
        return record
    }

    /// Something in the life of a session of this node.
    func record(_ kind: AuditEvent.Kind, _ session: LocalSession, of uid: UInt32? = nil, reason: String? = nil) {
        var event = AuditEvent(kind, at: clock.utc(at: .now()))
        // Of a session that has gone from the map its own record still tells.
        let person = map?.sessions[session.id]?.person ?? session.person?.signer.flatMap(person(with:))
        describe(session.id, session.agent, for: person, in: &event)
        (event.uid, event.reason) = (uid ?? sessions[session.id]?.owner, reason)
        trail.record(event)
    }

    /// Nobody was let in.
    func recordRefusal(of agent: AgentName, to connection: LocalConnection, because reason: String) {
        var event = AuditEvent(.launchRefused, at: clock.utc(at: .now()))
        describe(nil, agent, for: nil, in: &event)
        (event.uid, event.reason) = ((try? Caller(of: connection))?.uid, reason)
        trail.record(event)
    }

    private func person(with key: SigningPublicKey) -> UserName? { belief?.chain.admins.first { $0.value == key }?.key }

    private func describe(
        _ session: SessionID?, _ agent: AgentName?, for person: UserName?, in event: inout AuditEvent
    ) {
        (event.session, event.agent, event.person) = (session, agent, person)
        guard let agent else { return }
        event.owner = map?.agents[agent]?.owner
        event.chain = agent.lineage
    }

    /// The sessions that have some slots, in one pass over the map.
    private func sessions(at slots: Set<Slot>) -> [Slot: NetworkMap.Session] {
        var found: [Slot: NetworkMap.Session] = [:]
        guard let map else { return found }
        for session in map.sessions.values {
            guard let slot = plan.tables.peers[session.offset]?.slot, slots.contains(slot) else { continue }
            found[slot] = session
        }
        return found
    }
}

extension AgentName {
    /// A crew, then what stands below it, then the agent itself.
    fileprivate var lineage: [String] {
        var (lineage, name) = ([String](), "")
        for part in rawValue.split(separator: "/") {
            name += name.isEmpty ? "\(part)" : "/\(part)"
            lineage.append(name)
        }
        return lineage
    }
}

extension Reason {
    /// Whether policy is what the packet lacked.
    fileprivate var isAboutGrants: Bool { [.noService, .noGrant, .grantEnded].contains(self) }
}
