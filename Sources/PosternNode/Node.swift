import Authorization
import CoordinationAPI
import Datapath
import Glibc
import Identity
package import Logging
package import Mesh
package import WireGuard

/// The node: what it knows, what it should be, and the machine that it keeps so.
///
/// Everything that touches the kernel happens here, one after another, on a thread of its own.
package actor Node {
    package let configuration: NodeConfiguration
    var local: LocalNode
    var membership: StateDirectory.Membership
    let state: StateDirectory
    let verifier: MapVerifier
    let signer: SigningKey
    let log: Logger
    /// How WireGuard devices are made here, in words.
    let backendName: String
    /// The clock on this machine's wall, which is believed in nothing but how far it is from the coordinator's.
    let wall: @Sendable () -> Timestamp
    var client: CoordinatorClient

    var belief: BelievedMap?
    var journal: MapJournal
    /// What this node never goes back behind.
    var seen: Seen?
    /// Why the disk holds a map that would allow too much; nil when it does not.
    var unsaved: String?
    var policy: PolicySnapshot?
    var time: SignedClock
    let bootID: String
    /// Tells that something new may stand in the kernel.
    let applications: AsyncStream<Void>
    let applied: AsyncStream<Void>.Continuation
    /// Tells that the machine may not be as the map says.
    let changes: AsyncStream<Void>
    let changed: AsyncStream<Void>.Continuation
    /// The version that the machine was last brought to.
    var reconciledVersion: UInt64 = 0
    var isPolicyStale = true
    var reportedVersion: UInt64 = 0
    var mustResync = false
    var hasForgottenOrphans = false
    var waiters: [Int: (@Sendable (NetworkMap) -> Bool, CheckedContinuation<Void, Never>)] = [:]
    var lastWaiter = 0
    let alarm: Alarm
    let watch: DeviceWatch
    /// What goes to other nodes without the coordinator, and what comes from them.
    var courier = Courier()
    var letterLimit = LetterLimit()
    /// Until when a node is spoken to of what no session of ours is there for any more.
    var correspondents: [NodeName: BootTime] = [:]
    var meshSocket: MeshSocket?
    let letters: AsyncStream<Void>
    let newLetters: AsyncStream<Void>.Continuation
    /// Sessions of which the coordinator does not know yet that they have ended.
    var unreportedEnds: Set<SessionID> = []
    /// Where sessions that have just ended were known.
    var lastGranted: [SessionID: Set<NodeName>] = [:]
    var sessions: [SessionID: LiveSession] = [:]
    /// Those that have ended, and whose commands go on without a network.
    var cut: [SessionID: LiveSession] = [:]
    /// Those whose key is being exchanged.
    var rotating: Set<SessionID> = []
    var plan = Plan.empty
    var problems: [Problem] = []
    var coordinatorError: String?
    /// Why the node cannot begin with its work.
    var hindrance: String?
    var certificateError: String?
    /// The WireGuard key that takes the place of this one, once the map shows this node by it.
    var nextKey: WireGuardPrivateKey?
    var denials = DenialLog()
    var rates = PacketRates()
    var suppressedEvents: UInt64 = 0
    /// Whether a person took the mesh down here; kept on the disk.
    var isDown: Bool
    let records: SessionRecords
    /// What goes into the audit log.
    let trail: AuditTrail
    var ended = EndedSessions()
    /// What the networks around this machine are.
    var underlay = Underlay(addresses: [])
    /// Whether the coordinator does not know yet where this node is reached.
    var hasMoved = false
    /// Answers programs of this machine for the names of the mesh.
    let names = NameServer()
    var namesProblem: String?
    var resolverProblem: String?
    var planner: Planner
    var reconciler: Reconciler
    private var events: EventStream

    private let executor = QueueExecutor(label: "postern-node")
    package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe executor.asUnownedSerialExecutor() }

    /// Opens what a join left behind; nothing in the kernel is changed yet but the tables' existence.
    package init(
        _ configuration: NodeConfiguration, backend: any WireGuardBackend, log: Logger,
        wall: @escaping @Sendable () -> Timestamp
    ) throws {
        let state = try StateDirectory(path: configuration.stateDirectory)
        guard let membership = try state.membership(), let signer = try Join.loadTLSKey(from: state),
            let key = try Join.loadWireGuardKey(from: state), let root = SigningPublicKey(membership.adminKey)
        else { throw NodeError("this machine has not joined a mesh: run `posternd join` first") }
        (self.configuration, self.membership, self.state, self.signer) = (configuration, membership, state, signer)
        isDown = try state.isDown()
        backendName = backend.kind == .kernel ? "the kernel" : "wireguard-go, in user space"
        (self.log, self.wall) = (log, wall)
        journal = MapJournal(state)
        bootID = try readBootID()
        try checkTimeNamespace()
        seen = try state.seen()
        time = SignedClock(seen, bootID: bootID, wall: wall(), boot: .now())
        (changes, changed) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        (applications, applied) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        nextKey = try Join.loadWireGuardKey(from: state, as: .nextWireGuardKey)
        (letters, newLetters) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        alarm = try Alarm()
        watch = try DeviceWatch(backend)
        local = LocalNode(
            name: membership.node, device: configuration.device, key: key, port: membership.port)
        verifier = MapVerifier(
            mesh: membership.mesh, pool: membership.pool,
            anchor: try TrustAnchor(EncodedCertificate(pem: membership.ca)), root: root)
        records = try SessionRecords(below: state)
        trail = try AuditTrail(directory: state.path + "/audit", node: membership.node, log: log, now: wall)
        reconciler = try Reconciler(backend: backend, pins: PinPaths(root: configuration.bpffs))
        planner = Planner(
            node: local, numbering: Numbering(adopting: reconciler.tableSet), keepalive: configuration.keepalive)
        events = try reconciler.events()
        // Last, because a client that was made must be shut down.
        client = try CoordinatorClient(
            url: membership.url, ca: membership.ca, certificate: membership.certificate, key: signer.pem)
    }

    /// Readable when the classifier or a connect hook has something to tell.
    package var eventDescriptor: Int32 { events.descriptor }
}

// MARK: - The map

extension Node {
    var map: NetworkMap? { belief?.map }
    var clock: ClockReading { time.reading }
    var leftOut: [String] { belief?.leftOut ?? [] }

    /// The version that stands in this machine's kernel: what the coordinator may tell others to rely on.
    ///
    /// What is wrong with one session is no other node's concern. What a restart would undo does not stand.
    var appliedVersion: UInt64 {
        guard unsaved == nil else { return 0 }
        return problems.contains { $0.device == nil || $0.device == local.device } ? 0 : reconciledVersion
    }

    /// Another WireGuard key for the node's own device.
    func switchKey(to key: WireGuardPrivateKey) {
        local = LocalNode(name: local.name, device: local.device, key: key, port: local.port)
        planner.node = local
    }

    /// Plans and brings the machine to the plan.
    func reconcile(_ scope: Reconciler.Scope = .changes) {
        replan()
        let found =
            plan.problems.map { Problem(device: nil, text: $0) }
            + reconciler.apply(plan, places: sessions.mapValues(\.place), scope: scope)
        for problem in found where !problems.contains(problem) { log.error("\(problem.text)") }
        problems = found
        for text in reconciler.takeFreshDrift() { log.error("\(text)") }
        renewHolds(of: reconciler.takeAttached())
        reconciledVersion = map?.version ?? 0
        applied.yield()
    }

    /// Takes from the tables what may not be any more; the rest waits.
    func cutOff() {
        replan()
        reconciler.cutOff(plan, places: sessions.mapValues(\.place))
    }

    private func replan() {
        readPolicyIfStale()
        correspondents = correspondents.filter { $0.value > .now() }
        planner.correspondents = Set(correspondents.keys)
        let before = plan.grantedNodes
        plan =
            isDown
            ? .nothing(because: "the mesh is down here: `postern up` brings it up")
            : planner.plan(
                map: map, policy: policy, sessions: sessions.mapValues(\.local), clock: clock, now: .now(),
                isTimeKnown: trustedNow != nil)
        alarm.set(plan.nextChange)
        lastGranted.merge(before.filter { plan.grantedNodes[$0.key] == nil }) { $1 }
        names.show(isDown ? nil : map.flatMap { clock.bootTime(of: $0.validUntil) > .now() ? $0 : nil })
    }

    /// Looks at once at devices of which there is news; at the node's own whatever the news is.
    func lookAtDevices() { reconcile(.some(watch.take().union([local.device]))) }

    /// What was not as this node had left it, and has been mended.
    var drift: [String] { reconciler.drift.texts(at: .now()) }

    /// Whether the last round left something for another one.
    var hasMore: Bool { reconciler.hasMore }
}

// MARK: - What the kernel tells

extension Node {
    /// Reads the events, and tells each session what it was denied.
    func drainEvents() {
        guard let fresh = try? events.drain() else { return }
        record(fresh)
        suppressedEvents += fresh.reduce(0) { $0 + UInt64($1.suppressed) }
        for event in fresh where event.kind == .denied {
            guard let session = session(of: event), let notice = denial(event, of: session) else { continue }
            log.notice("\(notice)", metadata: ["session": "\(session.local.id)"])
            session.notify(notice)
        }
    }

    func removeLeftoverDevices(except kept: Set<DeviceName>) throws {
        try reconciler.removeLeftovers(except: kept.union([local.device]))
    }
    func state(of device: DeviceName) -> DeviceState? { reconciler.state(of: device) }
    func isGuarded(_ device: DeviceName) -> Bool {
        reconciler.isGuarded(device, at: sessions.mapValues(\.place))
    }
    func packetCounts() -> [NodeStatus.PacketCount] {
        guard let counts = try? reconciler.packetCounts() else { return [] }
        return rates.report(counts, at: .now())
    }
    /// Remembers the counts of this moment, to tell later how fast they rise.
    func takeRates() {
        if let counts = try? reconciler.packetCounts() { rates.take(counts, at: .now()) }
    }
    /// Why the wall is not to be relied on; nil when it is.
    func wallError() -> String? { reconciler.wallError() }

    private func session(of event: PacketEvent) -> LiveSession? {
        guard let slot = event.ownSlot else { return nil }
        return sessions.values.first { session in
            guard let known = map?.sessions[session.local.id] else { return false }
            return plan.tables.peers[known.offset]?.slot == slot
        }
    }
}
