import Audit
import CoordinationAPI
import Datapath
import Glibc
import Identity
import Logging
import Mesh
import Sandbox
import WireGuard

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A session that runs on this node.
struct LiveSession: Sendable {
    var local: LocalSession
    let place: SessionPlace
    /// Who started it, and so who besides root may end it.
    let owner: UInt32
    let audience: Audience
    /// Whether its command is left alone, without a network, when the session ends.
    var outlives = false
    var process: EnclosureProcess?
    /// Since when it has had its key, or that was asked for.
    var keyedAt = BootTime.now()

    /// What the disk keeps of it.
    var record: SessionRecord {
        var record = SessionRecord(of: local, owner: owner, cgroup: place.cgroup)
        record.keyedAt = keyedAt.rawValue
        record.outlives = outlives
        record.process = process.map { SessionRecord.Process(id: $0.pid, startTime: $0.startTime) }
        return record
    }

    /// Tells the person at the terminal.
    func notify(_ text: String) { audience.send(.notice(text)) }
}

// The life of a session, in order:
//
//     identify   whoever says that it runs for him proves it
//     admit      may this caller run this agent here?
//     prepare    a key, a network namespace, a cgroup
//     register   the coordinator gives it a place in the mesh; meanwhile
//     enclose    namespaces and mounts are made
//     connect    the map with it stands in this machine's kernel
//     confirm    the nodes that hold a granted service know it too, within 2 s
//     begin      the command starts
//     end        tables, device, processes, cgroup, coordinator
extension Node {
    /// How long the command waits for other nodes: a packet too early costs WireGuard's retry of 5 s.
    static let patience = Duration.seconds(2)
    /// How long a session's processes wait for their command, before they hear of the lease.
    private static let timeToBegin = Duration.seconds(60)
    /// How long a session lives that is not renewed.
    private var lease: Duration { belief?.sessionLease ?? BelievedMap.longestRenewal }
    /// With less than this left of its lease a session asks for more: two tries in three may fail.
    private var renewal: Duration { lease * 2 / 3 }
    /// How often it is looked at how much is left.
    var renewalPause: Duration { min(.seconds(5), lease / 6) }
    /// How long the coordinator may take to answer, before the node renews by itself.
    private var renewalPatience: Duration { min(CoordinatorClient.patience, lease / 6) }

    /// Runs a command as an agent until it ends; what happens goes to the connection.
    func run(_ request: RunRequest, received: OwnedDescriptors, for connection: LocalConnection) async {
        do {
            let caller = try Caller(of: connection)
            let id = SessionID.random(beside: [sessions.keys, cut.keys].joined())
            let person = try await identify(request, for: id, on: connection)
            let identity = try admit(
                request, caller: caller, for: person?.name, on: connection, descriptors: received.all)
            var session = try prepare(id, request.agent, for: person?.proof, owner: caller.uid, Audience(connection))
            session.outlives = !request.kill
            let outcome: Result<Int32, any Error>
            do { outcome = .success(try await live(session, request, identity, received, connection)) } catch {
                outcome = .failure(error)
            }
            guard !Task.isCancelled || running(session.local.id)?.process == nil else {
                return connection.send(.notice("posternd stops; the session runs on until its lease ends"))
            }
            await finish(session, outcome.response)
        } catch {
            recordRefusal(of: request.agent, to: connection, because: "\(error)")
            connection.send(.failed("\(error)"))
        }
    }

    /// Ends a session from outside: its network first, then its processes.
    func endSession(_ id: SessionID, caller: Caller) throws -> SessionEnding {
        let asked = BootTime.now()
        guard let session = running(id) else { throw NodeError("there is no session `\(id)` on this node") }
        try check(caller, owns: session.owner, id)
        guard cut[id] == nil else {
            try session.process?.kill()
            return SessionEnding(id: id, cutAfterMilliseconds: 0)
        }
        let by = caller.uid == session.owner ? "" : " by the user with the id \(caller.uid)"
        let moment = stop(session, because: "the session was ended with `postern session end`" + by)
        return SessionEnding(
            id: id, cutAfterMilliseconds: (moment - asked).milliseconds,
            problem: problems.first { $0.device == session.local.device }?.text)
    }

    /// Renews a session's lease now, so that it lives for long where nobody renews it any more.
    func extendSession(_ id: SessionID, caller: Caller) async throws -> SessionLease {
        guard let session = sessions[id] else { throw NodeError("there is no session `\(id)` on this node") }
        try check(caller, owns: session.owner, id)
        guard let process = session.process else { throw NodeError("the command of session `\(id)` has not started") }
        let expires = try await renewed(session.local)
        await waitForMap(within: .seconds(5)) { ($0.sessions[id]?.expires).map { $0 >= expires } ?? true }
        guard let known = map?.sessions[id] else { throw NodeError("session `\(id)` has ended meanwhile") }
        reconcile()
        try process.send(.lease(clock.bootTime(of: known.expires) - .now()))
        return SessionLease(id: id, expires: known.expires, maximum: known.maximum)
    }

    /// Ends the sessions that the mesh no longer knows: their lease ran out, or an admin ended them.
    func endForgottenSessions() {
        for (id, session) in sessions where session.process != nil && map?.sessions[id] == nil {
            stop(session, because: "the mesh has ended the session")
        }
    }

    /// Asks for more time for the sessions whose lease is near its end, or for all; what is refused ends with its lease.
    func renewSessions(all: Bool = false) async {
        await withDiscardingTaskGroup { group in
            for (id, session) in sessions {
                guard let process = session.process, let known = map?.sessions[id],
                    all || clock.bootTime(of: known.expires) - .now() < renewal
                else { continue }
                group.addTask { await self.renew(session.local, process) }
            }
        }
    }

    private func renew(_ session: LocalSession, _ process: EnclosureProcess) async {
        do {
            let expires = try await renewed(session)
            record(.sessionRenewed, session)
            try process.send(.lease(clock.bootTime(of: expires) - .now()))
        } catch { log.warning("session \(session.id) was not renewed: \(error)") }
    }

    /// By the coordinator; where it does not answer, by this node itself, which tells the nodes that must know.
    private func renewed(_ session: LocalSession) async throws -> Timestamp {
        let now = time.utc(at: .now())
        let renewal = SessionRenewal(id: session.id, expires: now + lease)
        let document = Document(mesh: membership.mesh, madeAt: now, statement: .renewal(renewal))
        let envelope = try Envelope(signing: document, with: signer.privateKey)
        do {
            return try await client.start(SessionRequest(statement: envelope), within: renewalPatience).expires
        } catch CoordinatorError
            .unreachable
        { return try renewAlone(session) }
    }

    /// Tells the coordinator of sessions that an earlier run of this daemon left in the map.
    func forgetOrphans() async {
        for (id, session) in map?.sessions ?? [:] where session.node == local.name && sessions[id] == nil {
            log.notice("session \(id) of agent `\(session.agent)` was left by an earlier run and is ended")
            await forget(id)
        }
    }
}

// MARK: - Steps

extension Node {
    private struct RunAs {
        let uid: UInt32
        let gid: UInt32
        var provisions = Provisions.none
    }

    private func admit(
        _ request: RunRequest, caller: Caller, for person: UserName?, on connection: LocalConnection,
        descriptors: [Int32]
    ) throws -> RunAs {
        guard descriptors.count == LocalFrame.descriptorCount else {
            throw NodeError("standard input, output and error must come with the request")
        }
        try Enclosure.checkStdio(descriptors)
        guard !isDown else { throw NodeError("the mesh is down here: `postern up` brings it up") }
        guard let map else { throw NodeError("this node has no map of the mesh yet: is the coordinator reachable?") }
        guard clock.bootTime(of: map.validUntil) > .now() else {
            throw NodeError("this node's map of the mesh has run out: is the coordinator reachable?")
        }
        if let problem = time.trust(wall: wall(), boot: .now()).problem { throw NodeError(problem) }
        guard let agent = map.agents[request.agent] else {
            // The map holds those alone that may run here: where others may, is not this node's to know.
            throw NodeError(
                "there is no agent `\(request.agent)` that may be launched on node `\(local.name)`: an admin makes one "
                    + "with `postern agent create \(request.agent) … --node \(local.name)`")
        }
        guard !agent.disabled else { throw NodeError("agent `\(agent.name)` is disabled") }
        guard agent.nodes.contains(local.name) else {
            let nodes = agent.nodes.sorted().map { "`\($0)`" }.joined(separator: ", ")
            throw NodeError(
                "agent `\(agent.name)` may not be launched on node `\(local.name)`, only on: "
                    + (nodes.isEmpty ? "none" : nodes))
        }
        try mayLaunch(agent, caller, for: person, on: connection)
        var runAs = try identity(wanted: request.user, caller: caller)
        runAs.provisions = agent.provisions
        return runAs
    }

    private func identity(wanted: UInt32?, caller: Caller) throws(NodeError) -> RunAs {
        guard let uid = wanted, uid != caller.uid else {
            guard caller.uid != 0 else {
                throw NodeError("an agent may not run as root: name another user with --user")
            }
            return RunAs(uid: caller.uid, gid: caller.gid)
        }
        guard caller.uid == 0 else { throw NodeError("only root may run an agent as another user") }
        guard uid != 0 else { throw NodeError("an agent may not run as root: name another user with --user") }
        guard let entry = unsafe getpwuid(uid) else { throw NodeError("there is no user with the id \(uid)") }
        return RunAs(uid: uid, gid: unsafe entry.pointee.pw_gid)
    }

    private func prepare(
        _ id: SessionID, _ agent: AgentName, for person: PersonProof?, owner: UInt32, _ audience: Audience
    ) throws -> LiveSession {
        guard let device = DeviceName("pt" + id.rawValue.prefix(12)) else {
            preconditionFailure("fourteen letters and digits are a device name")
        }
        let port = try freeUDPPort()
        let namespace = try NetworkNamespace.create()
        try namespace.setSysctl("net/ipv4/tcp_syncookies", to: "0")
        // Echo requests without a raw socket, for every group: where they may go is the classifier's to say.
        try namespace.setSysctl("net/ipv4/ping_group_range", to: "0 2147483647")
        try Links(in: namespace).bringUp(.loopback)
        let cgroup = try sessionsCgroup().child(id.rawValue)
        let local = LocalSession(id: id, agent: agent, device: device, key: .generate(), port: port, person: person)
        // Before anything stands that a later daemon would have to find.
        try records.write(SessionRecord(of: local, owner: owner, cgroup: cgroup.path))
        do {
            let sessions = try sessionsCgroup()
            try sessions.create()
            try sessions.hold(to: configuration.sessionsBounds.all)
            try cgroup.create()
        } catch {
            records.remove(id)
            throw error
        }
        return LiveSession(
            local: local, place: SessionPlace(namespace: namespace, cgroup: cgroup.path), owner: owner,
            audience: audience)
    }

    private func live(
        _ session: LiveSession, _ request: RunRequest, _ identity: RunAs, _ received: OwnedDescriptors,
        _ connection: LocalConnection
    ) async throws -> Int32 {
        sessions[session.local.id] = session
        let claim = try claim(of: session.local)
        // Nothing is thrown while this is under way: that crashes the optimiser of Swift 6.3.
        async let registered = client.answer(to: claim)
        let enclosed = Result { try enclose(session, request, identity, received) }
        let answer = await registered
        let process = try await begin(session, at: answer, try enclosed.get()) {
            try enclose(session, request, identity, received)
        }
        return try await follow(process, session, connection)
    }

    /// The session stands in the mesh, and its processes may start; where they cannot, they end.
    private func begin(
        _ session: LiveSession, at answer: Result<SessionResponse, CoordinatorError>, _ first: Enclosing,
        again: () throws -> Enclosing
    ) async throws -> EnclosureProcess {
        var enclosure = first
        do {
            let place = try answer.get()
            try await connect(session.local, from: place.version)
            await confirm(session, version: place.version)
            if enclosure.hosts != hosts() {
                try enclosure.process.kill()
                enclosure = try again()
            }
            try remember(session, enclosure.process)
            guard sessions[session.local.id] != nil else {
                throw NodeError("the session was ended before its command started")
            }
            sessions[session.local.id]?.process = enclosure.process
            return enclosure.process
        } catch {
            try? enclosure.process.kill()
            throw error
        }
    }

    /// A session's processes before its command runs, and the names that they were told.
    private struct Enclosing {
        let hosts: [HostsEntry]
        let process: EnclosureProcess
    }

    /// Makes the session's surroundings, while the mesh hears of it; the command waits.
    private func enclose(
        _ session: LiveSession, _ request: RunRequest, _ identity: RunAs, _ received: OwnedDescriptors
    ) throws -> Enclosing {
        let process = try Enclosure.start(
            specification(for: session, request, identity), network: session.place.namespace.descriptor,
            cgroup: Cgroup(path: session.place.cgroup), bounds: configuration.sessionsBounds.each,
            stdio: received.all, program: configuration.sessionProgram,
            rendezvous: records.rendezvous(of: session.local.id))
        return Enclosing(hosts: hosts(), process: process)
    }

    /// A session that the disk does not know would end with this daemon, so it does not begin.
    private func remember(_ session: LiveSession, _ process: EnclosureProcess) throws {
        var session = session
        session.process = process
        try records.write(session.record)
    }

    func register(_ session: LocalSession) async throws -> SessionResponse {
        try await client.start(try claim(of: session))
    }

    private func claim(of session: LocalSession) throws -> SessionRequest {
        let statement = SessionStatement(
            id: session.id, agent: session.agent, node: local.name, key: session.key.publicKey,
            endpoints: membership.endpoints.map { Endpoint(address: $0.address, port: session.port) },
            person: session.person)
        let document = Document(mesh: membership.mesh, madeAt: utcNow(), statement: .session(statement))
        return SessionRequest(statement: try Envelope(signing: document, with: signer.privateKey))
    }

    private func connect(_ session: LocalSession, from version: UInt64) async throws {
        let id = session.id
        await waitForMap(within: .seconds(5)) { $0.version >= version && $0.sessions[id] != nil }
        // The map may have come before we knew the session's place; now both are there.
        reconcile()
        guard plan.devices[session.device] != nil, isGuarded(session.device) else {
            let reason =
                problems.first { $0.device == nil || $0.device == session.device }?.text
                ?? "the map does not hold it"
            throw NodeError("the session has no way into the mesh: \(reason)")
        }
    }

    private func confirm(_ session: LiveSession, version: UInt64) async {
        let missing = await missing(session.local.id, version: version)
        guard !missing.isEmpty else { return }
        let names = missing.map { "`\($0)`" }.joined(separator: ", ")
        session.notify("node \(names) has not confirmed this session within 2 s: first calls to it may fail")
    }

    /// The nodes with a service granted to a session that do not know it as of a version, after 2 s.
    func missing(_ id: SessionID, version: UInt64) async -> [NodeName] {
        let others = (plan.grantedNodes[id] ?? []).subtracting([local.name]).sorted()
        guard !others.isEmpty else { return [] }
        do { return try await client.confirmations(of: version, by: others).missing } catch {
            log.warning("nobody says which nodes know session \(id): \(error)")
            return others
        }
    }

    private func specification(
        for session: LiveSession, _ request: RunRequest, _ identity: RunAs
    ) throws -> EnclosureSpecification {
        try EnclosureSpecification(
            session: session.local.id, command: request.command,
            environment: EnvironmentFilter.allowed(request.environment), workingDirectory: request.directory,
            hosts: hosts(), uid: identity.uid, gid: identity.gid,
            hostName: String(session.local.agent.rawValue.replacing("/", with: "-").prefix(63)),
            timeToLive: Self.timeToBegin, readOnlyPaths: identity.provisions.paths.sorted(),
            hiddenPaths: [configuration.stateDirectory, "/var/lib/postern"],
            devices: identity.provisions.devices.sorted(), asRoot: request.asRoot,
            ownUID: request.isolation == .uid ? session.local.id.ownUID : nil,
            userNamespaces: identity.provisions.userNamespaces, terminal: request.terminal,
            outlivesLease: session.outlives)
    }

    /// Whatever becomes of this daemon and of the file system with its pins, the session's packets are judged for as
    /// long as it lives.
    private func holdClassifier(of device: DeviceName, in process: EnclosureProcess) throws {
        try reconciler.withClassifier(of: device) { try process.send(.hold, with: $0) }
    }

    /// Where another classifier has come in the place of the one that a session holds.
    func renewHolds(of devices: Set<DeviceName>) {
        for session in sessions.values where devices.contains(session.local.device) {
            guard let process = session.process else { continue }
            do { try holdClassifier(of: session.local.device, in: process) } catch {
                log.error("session \(session.local.id) does not hold its classifier: \(error)")
            }
        }
    }

    private func follow(
        _ process: EnclosureProcess, _ session: LiveSession, _ connection: LocalConnection
    ) async throws -> Int32 {
        try await withThrowingTaskGroup(of: Int32?.self) { group in
            group.addTask { try await self.watch(process, session.local, session.audience) }
            group.addTask {
                for await received in connection.requests {
                    if case .signal(let number) = received.request { try? process.send(.signal(number)) }
                }
                // The caller has gone, and nobody is left to hear of the command.
                if !Task.isCancelled, session.audience.isHeard(by: connection) { try process.kill() }
                return nil
            }
            defer { group.cancelAll() }
            while let result = try await group.next() { if let result { return result } }
            throw NodeError("the session ended without saying how")
        }
    }

    func watch(
        _ process: EnclosureProcess, _ session: LocalSession, _ audience: Audience
    ) async throws -> Int32 {
        var outcome: Int32?
        for await event in process.events {
            switch event {
            case .report(.ready):
                guard let expires = map?.sessions[session.id]?.expires else {
                    throw NodeError("the session has ended before its command started")
                }
                try process.send(.lease(clock.bootTime(of: expires) - .now()))
                try holdClassifier(of: session.device, in: process)
                try process.send(.go)
            case .report(.started):
                record(.sessionStarted, session)
                audience.send(.started(session.id))
            case .report(.exited(let exit)): outcome = exit.status
            case .report(.expired):
                audience.send(.notice("the session's time is up: its lease has ended, and its command was killed"))
            case .report(.lapsed):
                audience.send(
                    .notice("the session's time is up: its lease has ended, and its command runs on without a network"))
            case .report(.failed(let error)):
                guard error.step == .command else { throw error }
                // The command itself could not be run: a shell's 126 and 127 follow.
                audience.send(.notice("\(error)"))
            case .ended(let exit): return outcome ?? exit.status
            }
        }
        throw NodeError("the session ended without saying how")
    }
}

// MARK: - The end

extension Node {
    /// Whoever waits hears at once when nothing of the command runs any more; what the session leaves behind goes then.
    func finish(_ session: LiveSession, _ outcome: LocalResponse) async {
        drainEvents()
        // Of a start that failed something may run still. Where this is in vain, `end` says so.
        try? sessions[session.local.id]?.process?.kill()
        record(.sessionEnded, session.local, of: session.owner, reason: outcome.ending)
        ended.note(session.local.id, owner: session.owner, outcome)
        session.audience.finish(outcome)
        end(session)
        // Of one that was cut the mesh has been told.
        guard cut.removeValue(forKey: session.local.id) == nil else { return }
        await forget(session.local.id)
    }

    /// Takes everything away that the session had on this machine; twice is no harm.
    private func end(_ session: LiveSession) {
        let process = sessions[session.local.id]?.process
        remove(session)
        do {
            try process?.kill()
            try Cgroup(path: session.place.cgroup).remove()
            // Last: what is left behind is found by it.
            records.remove(session.local.id)
        } catch { log.error("session \(session.local.id): \(error)") }
    }

    /// Gives the moment at which the network was cut.
    @discardableResult
    func stop(_ session: LiveSession, because reason: String) -> BootTime {
        let id = session.local.id
        let goesOn = session.outlives && session.process != nil
        session.notify(
            reason + (goesOn ? ": its command runs on without a network" : ": its network is cut, its command killed"))
        log.info("session \(id): \(reason)")
        remove(session)
        let moment = BootTime.now()
        do {
            if goesOn { try leave(session) } else { try session.process?.kill() }
        } catch { log.error("session \(id): \(error)") }
        return moment
    }

    /// The session is over, and its command goes on: known to whoever started it, and to the disk, until it ends.
    private func leave(_ session: LiveSession) throws {
        cut[session.local.id] = session
        var record = session.record
        record.isCut = true
        try records.write(record)
    }

    /// The mesh hears of the end of a session whose command goes on.
    func forgetIfCut(_ id: SessionID) async { if cut[id] != nil { await forget(id) } }

    /// A session whose command runs, whether or not it has a network still.
    func running(_ id: SessionID) -> LiveSession? { sessions[id] ?? cut[id] }

    private func remove(_ session: LiveSession) {
        // What its device has found out of others' endpoints is for the next one.
        if sessions[session.local.id] != nil { hearOfPeers(on: session.local.device) }
        sessions[session.local.id] = nil
        reconcile()
    }

    /// The coordinator forgets the session; if it cannot be told, the lease ends it.
    private func forget(_ id: SessionID) async {
        do {
            // While the coordinator is known to be away, the nodes that must know hear of it first.
            if coordinatorError != nil { try? endAlone(id) }
            _ = try await client.end(id)
            (lastGranted[id], unreportedEnds) = (nil, unreportedEnds.subtracting([id]))
        } catch {
            log.warning("the coordinator was not told that session \(id) ended: \(error)")
            if coordinatorError == nil { try? endAlone(id) }
        }
    }

    /// Where this node's sessions are: several nodes on one machine do not meet.
    func sessionsCgroup() throws(SandboxError) -> Cgroup {
        try Cgroup.root().child("postern").child(local.device.rawValue)
    }

    /// Two networks with the same addresses cannot both be reached: a person must choose.
    func refuseOverlap() throws {
        guard let route = try membership.pool.overlappingRoute(except: local.device) else { return }
        throw NodeError(
            "the mesh's addresses \(membership.pool.v4Text) overlap with this machine's route to \(route): "
                + "remove the route, or make the mesh anew with another pool")
    }

}

// MARK: - Facts

extension Node {
    /// The names of the mesh, so that `/etc/hosts` answers for them: by IPv4, on which every service listens.
    private func hosts() -> [HostsEntry] {
        guard let map else { return [] }
        let services = Dictionary(grouping: map.services.values, by: \.node)
        return map.nodes.values.sorted { $0.name < $1.name }.map { node in
            let names = services[node.name, default: []].map(\.name.rawValue).sorted() + [node.name.rawValue]
            return HostsEntry(
                address: map.pool.ipv4(at: node.offset).description, names: names.flatMap { ["\($0).\(map.mesh)", $0] })
        }
    }

    private func freeUDPPort() throws(NodeError) -> Port {
        let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw NodeError("cannot make a socket: \(errorText())") }
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let done = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                unsafe bind(descriptor, pointer, length) == 0 && getsockname(descriptor, pointer, &length) == 0
            }
        }
        guard done, let port = Port(rawValue: UInt16(bigEndian: address.sin_port)) else {
            throw NodeError("cannot find a free UDP port: \(errorText())")
        }
        return port
    }

    private func utcNow() -> Timestamp { clock.utc + (BootTime.now() - clock.boot) }
}

extension LocalResponse {
    /// How a session ended, in words.
    fileprivate var ending: String? {
        switch self {
        case .exited(let code): "its command ended with code \(code)"
        case .failed(let reason): reason
        default: nil
        }
    }
}

extension Result<Int32, any Error> {
    var response: LocalResponse {
        switch self {
        case .success(let code): .exited(code: code)
        case .failure(let error): .failed("\(error)")
        }
    }
}
