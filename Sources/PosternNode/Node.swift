import Authorization
import CoordinationAPI
import Datapath
import Glibc
import Identity
package import Logging
import Mesh
package import WireGuard

/// The node: what it knows, what it should be, and the machine that it keeps so.
///
/// Everything that touches the kernel happens here, one after another, on a thread of its own.
package actor Node {
    package let configuration: NodeConfiguration
    let local: LocalNode
    let membership: StateDirectory.Membership
    let state: StateDirectory
    let verifier: MapVerifier
    let signer: SigningKey
    let client: CoordinatorClient
    let log: Logger
    /// How WireGuard devices are made here, in words.
    let backendName: String

    var map: NetworkMap?
    /// The map as it stands on the disk.
    var saved: MapResponse?
    var policy: PolicySnapshot?
    var clock = ClockReading(utc: Timestamp(rawValue: 0), boot: BootTime(rawValue: 0))
    var sessions: [SessionID: LiveSession] = [:]
    var plan = Plan.empty
    var problems: [Problem] = []
    var leftOut: [String] = []
    var coordinatorError: String?
    var denials = DenialLog()
    var rates = PacketRates()
    var suppressedEvents: UInt64 = 0
    /// Whether a person took the mesh down here; kept on the disk.
    var isDown: Bool
    let records: SessionRecords
    var ended = EndedSessions()
    private var planner: Planner
    private var reconciler: Reconciler
    private var events: EventStream

    private let executor = QueueExecutor(label: "postern-node")
    package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe executor.asUnownedSerialExecutor() }

    /// Opens what a join left behind; nothing in the kernel is changed yet but the tables' existence.
    package init(_ configuration: NodeConfiguration, backend: any WireGuardBackend, log: Logger) throws {
        let state = try StateDirectory(path: configuration.stateDirectory)
        guard let membership = try state.membership(), let signer = try Join.loadTLSKey(from: state),
            let key = try Join.loadWireGuardKey(from: state), let admin = Join.adminKey(membership.adminKey)
        else { throw NodeError("this machine has not joined a mesh: run `posternd join` first") }
        (self.configuration, self.membership, self.state, self.signer) = (configuration, membership, state, signer)
        self.log = log
        isDown = try state.isDown()
        backendName = backend is UserspaceBackend ? "wireguard-go, in user space" : "the kernel"
        local = LocalNode(
            name: membership.node, device: configuration.device, key: key, port: membership.endpoint.port)
        verifier = MapVerifier(
            mesh: membership.mesh, pool: membership.pool,
            anchor: try TrustAnchor(EncodedCertificate(pem: membership.ca)), admins: [admin])
        records = try SessionRecords(below: state)
        reconciler = try Reconciler(backend: backend, pins: PinPaths(root: configuration.bpffs))
        planner = Planner(node: local, numbering: Numbering(adopting: reconciler.tableSet))
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
    /// The version that stands in this machine's kernel: what the coordinator may tell others to rely on.
    ///
    /// What is wrong with one session is no other node's concern.
    var appliedVersion: UInt64 {
        problems.contains { $0.device == nil || $0.device == local.device } ? 0 : map?.version ?? 0
    }

    /// Takes a map that was verified, and acts on it.
    func take(_ verified: MapVerifier.Verified, clock: ClockReading) {
        let next = verified.map
        (map, leftOut, self.clock) = (next, verified.leftOut, clock)
        do {
            policy = try PolicySnapshot(next)
        } catch {
            policy = nil
            log.error("the policies of map \(next.version) cannot be read: \(error)")
        }
        endForgottenSessions()
        reconcile()
    }

    /// Plans and brings the machine to the plan.
    func reconcile() {
        plan =
            isDown
            ? .nothing(because: "the mesh is down here: `postern up` brings it up")
            : planner.plan(
                map: map, policy: policy, sessions: sessions.mapValues(\.local), clock: clock, now: .now())
        let found =
            plan.problems.map { Problem(device: nil, text: $0) }
            + reconciler.apply(plan, places: sessions.mapValues(\.place))
        for problem in found where !problems.contains(problem) { log.error("\(problem.text)") }
        problems = found
    }
}

// MARK: - What the kernel tells

extension Node {
    /// Reads the events, and tells each session what it was denied.
    func drainEvents() {
        guard let fresh = try? events.drain() else { return }
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
