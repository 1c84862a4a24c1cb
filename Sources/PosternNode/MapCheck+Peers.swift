import CoordinationAPI
import Identity
import Mesh

// What nodes say of themselves and of their sessions.
extension MapCheck {
    mutating func checkNodes(_ entries: [MapMessage.NodeEntry]) {
        for entry in entries {
            do {
                let claim = try nodeClaim(entry)
                change.nodes[claim.statement.name] = claim
                change.removedNodes.remove(claim.statement.name)
            } catch {
                let text = "peer \(entry.peer) is left out: \(error)"
                guard let name = entry.claimedName else {
                    change.complaints[.unnamed(entry.peer)] = text
                    continue
                }
                // What stood there is not what the coordinator says any more.
                change.nodes[name] = nil
                change.removedNodes.insert(name)
                change.complaints[.said(.node(name))] = text
            }
        }
        reviewSessions()
    }

    private func nodeClaim(_ entry: MapMessage.NodeEntry) throws -> BelievedMap.NodeClaim {
        if let known = known(entry) { return known }
        let (key, name, ends) = try identity(entry)
        let document = try entry.statement.document(signedByOneOf: [key.key], of: verifier.mesh)
        guard case .node(let statement) = document.statement, name == statement.name else {
            throw NodeError("its statement is not that of the node in its certificate")
        }
        if !change.isRestored, let known = belief?.nodes[name], known.key == key, document.madeAt < known.madeAt {
            throw NodeError("its statement was made at \(document.madeAt), and one of \(known.madeAt) is known")
        }
        return BelievedMap.NodeClaim(
            entry: entry, statement: statement, madeAt: document.madeAt, key: key, certificateEnds: ends)
    }

    /// A statement and a certificate that were believed before; the place may be another.
    private func known(_ entry: MapMessage.NodeEntry) -> BelievedMap.NodeClaim? {
        guard let name = entry.claimedName, let known = belief?.nodes[name],
            known.entry.statement == entry.statement, known.entry.certificate == entry.certificate,
            known.certificateEnds >= event.issuedAt
        else { return nil }
        return BelievedMap.NodeClaim(
            entry: entry, statement: known.statement, madeAt: known.madeAt, key: known.key,
            certificateEnds: known.certificateEnds)
    }

    /// Who a certificate speaks for: as found now, or when it was first seen.
    private func identity(
        _ entry: MapMessage.NodeEntry
    ) throws(NodeError) -> (key: SigningPublicKey, name: NodeName, ends: Timestamp) {
        if let result = certificates[entry.certificate] {
            let certificate = try result.get()
            guard case .node(let name) = certificate.id.role else {
                throw NodeError("its certificate is not a node's")
            }
            return (SigningPublicKey(certificate.publicKey), name, certificate.expires)
        }
        guard let name = entry.claimedName, let known = belief?.nodes[name],
            known.entry.certificate == entry.certificate, known.certificateEnds >= event.issuedAt
        else { throw NodeError("its certificate ran out") }
        return (known.key, name, known.certificateEnds)
    }

    /// Sessions that stay, of nodes whose key is another one: their signatures are looked at again.
    private mutating func reviewSessions() {
        guard !change.isWhole, let belief else { return }
        for (name, claim) in change.nodes where belief.nodes[name]?.key != claim.key {
            for id in belief.sessionsOfNode[name, default: []] {
                guard let session = belief.sessions[id], session.signer != claim.key else { continue }
                change.signers.updateValue(signer(of: session.entry.statement, key: claim.key), forKey: id)
            }
        }
    }
}

// MARK: - Sessions

extension MapCheck {
    mutating func checkSessions(_ entries: [MapMessage.SessionEntry]) {
        for entry in entries {
            guard let document = entry.statement.unverifiedDocument, case .session(let said) = document.statement else {
                change.complaints[.unnamed(entry.peer)] =
                    "peer \(entry.peer) is left out: its statement is not that of a session"
                continue
            }
            guard document.mesh == verifier.mesh, isNewest(document.madeAt, said.id) else {
                change.removedSessions.insert(said.id)
                change.complaints[.said(.session(said.id))] =
                    "session `\(said.id)` is left out: its statement is of another mesh, or a newer one is known"
                continue
            }
            change.removedSessions.remove(said.id)
            let given = min(entry.expires, entry.maximum, event.issuedAt + MapVerifier.longestLease)
            let renewed = belief?.sessions[said.id]?.renewed
            change.sessions[said.id] = BelievedMap.SessionClaim(
                entry: entry, statement: said, madeAt: document.madeAt, signer: signer(of: entry.statement, of: said),
                person: person(behind: said), expires: max(given, min(renewed ?? given, entry.maximum)),
                renewed: renewed)
        }
    }

    /// Looked at once, though the session is spoken of again for each of its keys.
    private func person(behind said: SessionStatement) -> ProvedPerson? {
        guard let proof = said.person else { return nil }
        let people = (change.chain ?? belief?.chain)?.admins ?? [:]
        if let known = belief?.sessions[said.id], known.statement.person == proof,
            known.statement.presence == said.presence, let person = known.person, people[person.name] == person.key
        {
            return person
        }
        return try? proof.person(behind: said.presence, of: people, in: verifier.mesh).person
    }

    private func isNewest(_ madeAt: Timestamp, _ id: SessionID) -> Bool {
        guard !change.isRestored, let known = belief?.sessions[id] else { return true }
        return madeAt >= known.madeAt
    }

    /// The session's node, if it is known and has signed: only its key is asked, for there are many.
    private func signer(of envelope: Envelope, of said: SessionStatement) -> SigningPublicKey? {
        let isGone = change.isWhole || change.removedNodes.contains(said.node)
        guard let key = change.nodes[said.node]?.key ?? (isGone ? nil : belief?.nodes[said.node]?.key) else {
            return nil
        }
        if let known = belief?.sessions[said.id], known.entry.statement == envelope, known.signer == key { return key }
        return signer(of: envelope, key: key)
    }

    private func signer(of envelope: Envelope, key: SigningPublicKey) -> SigningPublicKey? {
        (try? envelope.document(signedByOneOf: [key.key], of: verifier.mesh)) == nil ? nil : key
    }
}

extension MapMessage.NodeEntry {
    /// The node that it claims to be of.
    var claimedName: NodeName? {
        if case .node(let said) = statement.unverifiedDocument?.statement { said.name } else { nil }
    }
}
