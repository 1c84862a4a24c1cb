import CoordinationAPI
import Datapath
import Logging
import Mesh
import WireGuard

/// A session's WireGuard key, exchanged for a new one while its flows go on.
///
///     1 make      the new key is on the disk beside the old one
///     2 say       the node's signed statement with the new key: the coordinator has taken it
///     3 wait      the nodes that hold a granted service know it, 2 s at most: a handshake too early costs WireGuard 5 s
///     4 switch    the device takes the key and calls its peers, and the old key goes
///
/// Broken off anywhere, both keys are there, and the map says which one counts.
extension Node {
    /// An exchange that failed is tried again after this.
    private static let rotationRetry = Duration.seconds(300)

    /// Exchanges a session's key for whoever may speak for the session.
    func rotateKey(of id: SessionID, caller: Caller) async throws -> WireGuardPublicKey {
        guard let session = sessions[id] else { throw NodeError("there is no session `\(id)` on this node") }
        try check(caller, owns: session.owner, id)
        return try await rotateKey(of: id)
    }

    /// Exchanges the keys that have grown old; what fails is tried again later.
    func rotateOldKeys() async {
        let (now, life) = (BootTime.now(), configuration.sessionKeyLife)
        for (id, session) in sessions where session.process != nil && now - session.keyedAt >= life {
            guard coordinatorError == nil else { return }
            sessions[id]?.keyedAt = now + (min(Self.rotationRetry, life) - life)
            do { _ = try await rotateKey(of: id) } catch {
                log.warning("the key of session \(id) was not exchanged: \(error)")
            }
        }
    }

    /// Begins, or goes on with, an exchange of keys; gives the new one once the session has it.
    private func rotateKey(of id: SessionID) async throws -> WireGuardPublicKey {
        guard rotating.insert(id).inserted else {
            throw NodeError("the key of session `\(id)` is being exchanged already")
        }
        defer { rotating.remove(id) }
        let session = try begin(id)
        let answer = try await register(session)
        await waitForMap(within: .seconds(5)) { $0.version >= answer.version }
        _ = await missing(id, version: answer.version)
        switchKey(of: id)
        guard sessions[id]?.local.key == session.key else {
            throw NodeError(
                "the coordinator took the new key, but the map with it has not come yet: it will be used then")
        }
        return session.key.publicKey
    }

    /// The session as it will be, after the disk knows its new key.
    private func begin(_ id: SessionID) throws -> LocalSession {
        guard var session = sessions[id], session.process != nil else {
            throw NodeError("session `\(id)` does not run")
        }
        let local = session.local
        let next = local.next ?? .generate()
        if local.next == nil {
            session.local = local.with(next: next)
            try records.write(session.record)
            sessions[id]?.local = session.local
        }
        return local.with(key: next)
    }

    /// Takes up the new keys that the map shows, where nobody waits for other nodes first.
    func adoptNextSessionKeys() {
        for id in sessions.keys where !rotating.contains(id) { switchKey(of: id) }
    }

    /// Takes the new key up, if the map shows the session by it.
    private func switchKey(of id: SessionID) {
        guard var session = sessions[id], let next = session.local.next,
            map?.sessions[id]?.key == next.publicKey
        else { return }
        session.local = session.local.with(key: next)
        session.keyedAt = .now()
        // Where the disk does not take it, both keys stay there, and the map says again which one counts.
        do { try records.write(session.record) } catch { log.error("session \(id): \(error)") }
        sessions[id] = session
        reconcile()
        log.info("session \(id) has another WireGuard key")
    }
}
