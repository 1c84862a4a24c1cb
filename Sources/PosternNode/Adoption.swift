import CoordinationAPI
import Datapath
import Glibc
import Logging
import Mesh
import Sandbox
import WireGuard

// Sessions outlive the daemon that started them. A daemon that starts takes over those of which it finds everything:
//
//     record      agent, key, port, owner: in a file of root's
//     process     the same one, by id and start time; it answers at its socket
//     namespace   that of the process
//
// Device, tables and classifier are then found as planned, and left alone. What it cannot take over it ends.
extension Node {
    /// Takes over what an earlier run left, or ends it. Before the first map is acted on.
    func adoptSessions() throws {
        let cgroups = try sessionsCgroup()
        try cgroups.create()
        do { try cgroups.hold(to: configuration.sessionsBounds.all) } catch {
            // What else the node does goes on.
            log.error("no session can start: \(error)")
        }
        for (id, record) in try records.all() where running(id) == nil {
            do {
                guard let record else { throw NodeError("its record cannot be read") }
                if record.isCut == true { cut[id] = try adopt(record) } else { sessions[id] = try adopt(record) }
                log.notice("session \(id) of agent `\(record.agent)` runs on: it has been taken over")
            } catch { conclude(id, record, because: "\(error)") }
        }
        for id in try cgroups.children() where (try? SessionID(id)).flatMap({ running($0) }) == nil {
            try cgroups.child(id).remove()
        }
        try removeLeftoverDevices(except: Set(sessions.values.map(\.local.device)))
    }

    /// Goes on where an earlier run ended, with its sessions and its map. Where the machine does not let it, nothing is
    /// done, and whoever asks is told the reason.
    func beginAgain() async -> Bool {
        do { try adoptSessions() } catch {
            let text = "the sessions of an earlier run cannot be taken over yet: \(error)"
            if hindrance != text { log.error("\(text)") }
            hindrance = text
            return false
        }
        hindrance = nil
        await restore()
        return true
    }

    private func adopt(_ record: SessionRecord) throws -> LiveSession {
        guard let local = record.session else { throw NodeError("its record cannot be read") }
        guard let process = record.process else { throw NodeError("its command had not started") }
        let found = try EnclosureProcess.adopt(
            pid: process.id, startTime: process.startTime, rendezvous: records.rendezvous(of: record.id))
        let namespace = try NetworkNamespace(path: "/proc/\(process.id)/ns/net")
        return LiveSession(
            local: local, place: SessionPlace(namespace: namespace, cgroup: record.cgroup), owner: record.owner,
            audience: Audience(nil), outlives: record.outlives ?? false, process: found,
            keyedAt: record.keyedAt.map { BootTime(rawValue: $0) } ?? .now())
    }

    /// The session is over; whoever asks how it went is told.
    private func conclude(_ id: SessionID, _ record: SessionRecord?, because reason: String) {
        log.notice("session \(id) cannot be taken over, and is ended: \(reason)")
        let outcome: LocalResponse =
            switch records.rendezvous(of: id).lastReport {
            case .exited(let exit): .exited(code: exit.status)
            case .expired: .failed("the session's lease ended while posternd was away, and its command was killed")
            default: .failed("the session ended while posternd was away: \(reason)")
            }
        if let record { ended.note(id, owner: record.owner, outcome) }
        records.remove(id)
    }

    /// Follows the sessions that were taken over until they end.
    func followAdopted() async {
        await withDiscardingTaskGroup { group in
            for session in Array(sessions.values) + Array(cut.values) {
                guard let process = session.process else { continue }
                group.addTask { await self.follow(session, process) }
            }
        }
    }

    private func follow(_ session: LiveSession, _ process: EnclosureProcess) async {
        let outcome: Result<Int32, any Error>
        do { outcome = .success(try await watch(process, session.local, session.audience)) } catch {
            outcome = .failure(error)
        }
        guard !Task.isCancelled else { return }
        await finish(session, outcome.response)
    }

    /// Lets a caller hear of a session again, and speak to it, after the daemon that it spoke to has gone.
    func attach(to id: SessionID, caller: Caller, _ connection: LocalConnection) async throws {
        if let past = ended[id] {
            try check(caller, owns: past.owner, id)
            return connection.send(past.outcome)
        }
        guard let session = running(id) else { throw NodeError("there is no session `\(id)` on this node") }
        try check(caller, owns: session.owner, id)
        session.audience.attach(connection)
        connection.send(.started(id))
        for await received in connection.requests {
            if case .signal(let number) = received.request { try? session.process?.send(.signal(number)) }
        }
        // The caller has gone, and nobody is left to hear of the command.
        if !Task.isCancelled, session.audience.isHeard(by: connection) { try running(id)?.process?.kill() }
    }

    func check(_ caller: Caller, owns owner: UInt32, _ id: SessionID) throws(NodeError) {
        guard caller.uid == 0 || caller.uid == owner else {
            throw NodeError("session `\(id)` is another user's: only that user and root may speak for it")
        }
    }
}

/// How sessions went that ended a short while ago, for callers who could not hear it then.
struct EndedSessions: Sendable {
    struct Past: Sendable {
        let owner: UInt32
        let outcome: LocalResponse
    }

    private static let capacity = 256
    private var order: [SessionID] = []
    private var past: [SessionID: Past] = [:]

    subscript(id: SessionID) -> Past? { past[id] }

    mutating func note(_ id: SessionID, owner: UInt32, _ outcome: LocalResponse) {
        if past.updateValue(Past(owner: owner, outcome: outcome), forKey: id) == nil { order.append(id) }
        if order.count > Self.capacity { past[order.removeFirst()] = nil }
    }
}
