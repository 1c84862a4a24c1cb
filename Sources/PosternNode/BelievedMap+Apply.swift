import CoordinationAPI
package import Mesh

// How a verified change becomes the map: definitions, then nodes, then sessions, then whoever those touch.
extension BelievedMap {
    /// Makes the change. What it says was checked; nothing can fail any more.
    package mutating func apply(_ change: BelievedChange) {
        if change.isWhole { forgetAll() }
        if change.isRestored { gone = [:] }
        if let chain = change.chain { self.chain = chain }
        if let checkpoint = change.checkpoint { self.checkpoint = checkpoint }
        (map.version, map.issuedAt, map.validUntil) = (change.version, change.issuedAt, change.validUntil)
        sessionLease = change.sessionLease
        var touched = define(change)
        if change.chain != nil {
            touched.formUnion(sessions.filter { $0.value.statement.person != nil }.keys.map { .session($0) })
        }
        for name in change.removedNodes { touched.formUnion(set(nil, of: name)) }
        for (name, claim) in change.nodes { touched.formUnion(set(claim, of: name)) }
        for (id, signer) in change.signers { sessions[id]?.signer = signer }
        for id in change.removedSessions { touched.formUnion(set(nil, of: id)) }
        for (id, claim) in change.sessions { touched.formUnion(set(claim, of: id)) }
        if map.issuedAt > firstEnd { touched.formUnion(endCertificates()) }
        settle(touched)
        complaints.merge(change.complaints) { $1 }
        ended = ended.filter { $0.value > map.issuedAt }
    }

    /// What is left of the old belief when a whole map replaces it: what must never come back.
    private mutating func forgetAll() {
        for (entry, definition) in definitions { gone[entry] = definition.moment }
        definitions = [:]
        (nodes, sessions, sessionsOfNode, sessionsOfAgent) = ([:], [:], [:], [:])
        (places, complaints, firstEnd) = (PeerPlaces(), [:], Timestamp(rawValue: .max))
        (map.agents, map.services, map.policies, map.nodes, map.sessions) = ([:], [:], [:], [:], [:])
    }
}

extension BelievedChange {
    /// What is believed after it; nil where there was no map for the change to be one of.
    package func applied(to belief: BelievedMap?, mesh: MeshDomain, pool: AddressPool) -> BelievedMap? {
        var belief = belief
        belief.apply(self, mesh: mesh, pool: pool)
        return belief
    }
}

extension BelievedMap? {
    /// Makes a change; the first one makes the map.
    mutating func apply(_ change: BelievedChange, mesh: MeshDomain, pool: AddressPool) {
        if self == nil, let chain = change.chain { self = BelievedMap(mesh: mesh, pool: pool, chain: chain) }
        self?.apply(change)
    }
}

// MARK: - Definitions

extension BelievedMap {
    /// Gives the sessions that a changed agent may be the end, or the beginning, of.
    private mutating func define(_ change: BelievedChange) -> Set<PeerPlaces.Holder> {
        var touched: Set<PeerPlaces.Holder> = []
        for entry in change.removed {
            if let definition = definitions.removeValue(forKey: entry) { gone[entry] = definition.moment }
            place(nil, entry)
            touched.formUnion(sessions(of: entry))
        }
        for (entry, definition) in change.definitions {
            (definitions[entry], gone[entry]) = (definition, nil)
            place(definition.statement, entry)
            touched.formUnion(sessions(of: entry))
        }
        while gone.count > Self.maximumGone, let oldest = gone.min(by: { $0.value.madeAt < $1.value.madeAt }) {
            gone[oldest.key] = nil
        }
        return touched
    }

    private mutating func place(_ statement: Statement?, _ entry: Entry) {
        switch entry {
        case .agent(let name): map.agents[name] = if case .agent(let agent) = statement { agent } else { nil }
        case .service(let name): map.services[name] = if case .service(let service) = statement { service } else { nil }
        case .policy(let name): map.policies[name] = if case .policy(let policy) = statement { policy } else { nil }
        case .admin, .node: break
        }
    }

    private func sessions(of entry: Entry) -> [PeerPlaces.Holder] {
        guard case .agent(let name) = entry else { return [] }
        return sessionsOfAgent[name, default: []].map { .session($0) }
    }
}

// MARK: - Peers

extension BelievedMap {
    private mutating func set(_ claim: NodeClaim?, of name: NodeName) -> Set<PeerPlaces.Holder> {
        nodes[name] = claim
        if let claim { firstEnd = min(firstEnd, claim.certificateEnds) }
        complaints[.said(.node(name))] = nil
        let known = sessionsOfNode[name, default: []].map { PeerPlaces.Holder.session($0) }
        return Set(known).union([.node(name)])
    }

    private mutating func set(_ claim: SessionClaim?, of id: SessionID) -> Set<PeerPlaces.Holder> {
        if let old = sessions[id]?.statement {
            sessionsOfNode[old.node]?.remove(id)
            sessionsOfAgent[old.agent]?.remove(id)
            if sessionsOfNode[old.node]?.isEmpty == true { sessionsOfNode[old.node] = nil }
            if sessionsOfAgent[old.agent]?.isEmpty == true { sessionsOfAgent[old.agent] = nil }
        }
        sessions[id] = claim
        if let new = claim?.statement {
            sessionsOfNode[new.node, default: []].insert(id)
            sessionsOfAgent[new.agent, default: []].insert(id)
        }
        complaints[.said(.session(id))] = nil
        return [.session(id)]
    }

    /// A certificate that ran out speaks for nobody, nor for the sessions of nobody.
    private mutating func endCertificates() -> Set<PeerPlaces.Holder> {
        let over = nodes.filter { $0.value.certificateEnds < map.issuedAt }.keys
        firstEnd = nodes.values.map(\.certificateEnds).filter { $0 >= map.issuedAt }.min() ?? Timestamp(rawValue: .max)
        return over.reduce(into: []) { touched, name in
            touched.insert(.node(name))
            touched.formUnion(sessionsOfNode[name, default: []].map { .session($0) })
        }
    }

    /// Brings the map to what is claimed, for these and for all who share, or shared, a place with them.
    mutating func settle(_ holders: Set<PeerPlaces.Holder>) {
        var unsettled: Set<PeerPlaces.Holder> = []
        for holder in holders { unsettled.formUnion(places.set(claim(of: holder), of: holder)) }
        for holder in unsettled {
            let isShared = places.isShared(holder)
            switch holder {
            case .node(let name): map.nodes[name] = isShared ? nil : believed(name)
            case .session(let id): map.sessions[id] = isShared ? nil : believed(id)
            }
            complaints[.holder(holder)] =
                isShared
                ? "\(text(of: holder)) is left out: another peer has its id, its address or its key"
                : refusal(of: holder).map { "\(text(of: holder)) is left out: \($0)" }
        }
    }

    private func claim(of holder: PeerPlaces.Holder) -> PeerPlaces.Claim? {
        switch holder {
        case .node(let name):
            believed(name).map { PeerPlaces.Claim(peer: $0.peer, offset: $0.offset, key: $0.key) }
        case .session(let id):
            believed(id).map { PeerPlaces.Claim(peer: $0.peer, offset: $0.offset, key: $0.key) }
        }
    }

    private func text(of holder: PeerPlaces.Holder) -> String {
        switch holder {
        case .node(let name): "node `\(name)`"
        case .session(let id): "session `\(id)`"
        }
    }
}

// MARK: - Who is believed

extension BelievedMap {
    private func believed(_ name: NodeName) -> NetworkMap.Node? {
        guard let claim = nodes[name], claim.certificateEnds >= map.issuedAt else { return nil }
        return NetworkMap.Node(
            name: name, peer: claim.entry.peer, offset: claim.entry.offset, key: claim.statement.key,
            endpoints: claim.statement.endpoints)
    }

    private func believed(_ id: SessionID) -> NetworkMap.Session? {
        guard let claim = sessions[id], refusal(of: .session(id)) == nil else { return nil }
        let said = claim.statement
        return NetworkMap.Session(
            id: id, agent: said.agent, node: said.node, peer: claim.entry.peer, offset: claim.entry.offset,
            key: said.key, endpoints: said.endpoints, person: claim.person?.name, expires: claim.expires,
            maximum: claim.entry.maximum)
    }

    /// Why somebody who is known is not believed.
    private func refusal(of holder: PeerPlaces.Holder) -> String? {
        switch holder {
        case .node(let name):
            guard let claim = nodes[name], claim.certificateEnds < map.issuedAt else { return nil }
            return "its certificate ran out at \(claim.certificateEnds)"
        case .session(let id):
            guard let claim = sessions[id] else { return nil }
            let said = claim.statement
            guard let node = nodes[said.node], node.certificateEnds >= map.issuedAt, claim.signer == node.key else {
                return "its statement is not that of a session, signed by the session's node"
            }
            guard let agent = map.agents[said.agent], !agent.disabled, agent.nodes.contains(said.node) else {
                return "node `\(said.node)` may not run agent `\(said.agent)`"
            }
            if said.person != nil, claim.person.map({ chain.admins[$0.name] != $0.key }) ?? true {
                return "the person for whom it says it runs is not proved, or counts no more"
            }
            return ended[id] == nil ? nil : "its node has ended it"
        }
    }
}
