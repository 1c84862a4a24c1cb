import CBpf
import Glibc
import Mesh

@testable import Datapath

let pool = AddressPool(v4Base: IPv4Address("10.64.0.0")!, v6Prefix: 0xfd12_3456_789a_0000)!

/// A node, two agents, and the services that the tests ask for.
enum Who {
    static let node = MeshOffset(rawValue: 5)!
    static let agent = MeshOffset(rawValue: 70_000)!
    static let stranger = MeshOffset(rawValue: 9)!
    static let nobody = MeshOffset(rawValue: 1234)!

    static let nodeSlot = Slot(rawValue: 1)!
    static let agentSlot = Slot(rawValue: 2)!
    static let strangerSlot = Slot(rawValue: 131_071)!
    static let web: UInt16 = 8080
    static let admin: UInt16 = 9090
    static let sidecarred: UInt16 = 5432
    static let dns: UInt16 = 53
    static let timed: UInt16 = 8081
    static let ended: UInt16 = 8082

    static let first = Generation(rawValue: 1)!
    static let second = Generation(rawValue: 2)!
    static let always = BootTime(rawValue: .max)
    static let past = BootTime(rawValue: 1)

    static func entry(_ slot: Slot, _ generation: Generation = first, until lease: BootTime = always) -> PeerEntry {
        PeerEntry(slot: slot, generation: generation, lease: lease)
    }

    static func service(_ slot: Slot, _ port: UInt16, _ transport: TransportProtocol = .tcp) -> ServiceKey {
        ServiceKey(slot: slot, port: Port(rawValue: port)!, transport: transport)
    }

    static func cell(_ slot: Slot, _ column: UInt32) -> VerdictKey {
        VerdictKey(slot: slot, serviceClass: ServiceClass(rawValue: column)!)
    }

    static let tables = TableSet(
        peers: [node: entry(nodeSlot), agent: entry(agentSlot), stranger: entry(strangerSlot)],
        services: [
            service(nodeSlot, web): ServiceClass(rawValue: 1)!,
            service(nodeSlot, admin): ServiceClass(rawValue: 40)!,
            service(nodeSlot, sidecarred): ServiceClass(rawValue: 1023)!,
            service(nodeSlot, dns, .udp): ServiceClass(rawValue: 2)!,
            service(nodeSlot, timed): ServiceClass(rawValue: 3)!,
            service(nodeSlot, ended): ServiceClass(rawValue: 4)!,
            .echo(of: nodeSlot): ServiceClass(rawValue: 5)!,
        ],
        rows: [agentSlot: first, strangerSlot: first],
        verdicts: [
            cell(agentSlot, 1): .allow, cell(agentSlot, 1023): .sidecarOnly, cell(agentSlot, 2): .allow,
            cell(agentSlot, 5): .allow, cell(strangerSlot, 40): .allow,
        ],
        timed: [
            cell(agentSlot, 3): TimedGrant(until: always, verdict: .allow, policy: 1),
            cell(agentSlot, 4): TimedGrant(until: past, verdict: .allow, policy: 2),
        ])

    static let nodeDevice = DeviceIdentity(kind: .node, slot: nodeSlot, generation: first, offset: node, pool: pool)
    static let agentDevice = DeviceIdentity(
        kind: .session, slot: agentSlot, generation: first, offset: agent, pool: pool)
    /// The same node, on which root may open nothing.
    static let closedDevice = DeviceIdentity(
        kind: .node, slot: nodeSlot, generation: first, offset: node, pool: pool, openers: [1000, 1001, 1002, 1003])
    static let devices = [nodeDevice, agentDevice, closedDevice]
}

enum Direction: CaseIterable { case ingress, egress }

/// What a packet has beside its bytes.
struct Metadata {
    var mark: UInt32 = 0
    var arrivedAt: UInt32 = 0
}

/// Tables in the kernel and the programs of the devices, loaded when they are first asked and not attached.
struct World: ~Copyable {
    let mount: PinMount
    let tables: Tables
    private let programs = Programs()

    private final class Programs {
        private var loaded: [DeviceIdentity: Loaded] = [:]

        private final class Loaded {
            let object: ProgramObject
            init(_ object: consuming ProgramObject) { self.object = object }
        }

        func descriptor(of device: DeviceIdentity, _ direction: Direction, _ tables: borrowing Tables) throws -> Int32 {
            let program = try loaded[device] ?? Loaded(Classifier.load(device, tables: tables))
            loaded[device] = program
            return try program.object.descriptor(of: direction == .ingress ? "postern_ingress" : "postern_egress")
        }

        /// What the devices asked, and expect answers to.
        func forgetQuestions() throws {
            for program in loaded.values {
                let asked = try program.object.map("asked")
                var key: UInt64 = 0
                while unsafe bpf_map_get_next_key(asked.raw, nil, &key) == 0 {
                    guard unsafe bpf_map_delete_elem(asked.raw, &key) == 0 else { throw Failure("cannot forget") }
                }
            }
        }
    }

    init(_ set: TableSet = Who.tables) throws {
        let mount = try PinMount()
        let tables = try Tables(pins: mount.path + "/tables")
        try tables.loosen(TableSet().changes(to: set))
        self.mount = mount
        self.tables = tables
    }

    /// Goes over from one state to another, as if nothing had been before it.
    func change(from old: TableSet, to new: TableSet) throws {
        let changes = old.changes(to: new)
        try tables.tighten(changes)
        try tables.loosen(changes)
        try programs.forgetQuestions()
    }

    /// The program's answer and the one reason that it counted.
    func judge(
        _ frame: Frame, at device: DeviceIdentity, _ direction: Direction, _ metadata: Metadata = Metadata()
    ) throws -> Reason {
        let before = try counts(device, direction)
        let program = try programs.descriptor(of: device, direction, tables)
        let action = try testRun(program, frame, metadata)
        let after = try counts(device, direction)
        let changed = Reason.allCases.filter { before[$0]?.packets ?? 0 != after[$0]?.packets ?? 0 }
        guard changed.count == 1, let reason = changed.first else { throw Failure("counted \(changed)") }
        let bytes = (after[reason]?.bytes ?? 0) - (before[reason]?.bytes ?? 0)
        guard action == (reason.isAllowed ? -1 : 2) else { throw Failure("\(reason), but the action is \(action)") }
        guard bytes == frame.bytes.count else { throw Failure("counted \(bytes) bytes") }
        return reason
    }

    private func counts(_ device: DeviceIdentity, _ direction: Direction) throws -> [Reason: Count] {
        let place: Place =
            switch (device.kind, direction) {
            case (.node, .ingress): .nodeIngress
            case (.node, .egress): .nodeEgress
            case (.session, .ingress): .sessionIngress
            case (.session, .egress): .sessionEgress
            }
        return try tables.counts(at: place)
    }

    private func testRun(_ program: Int32, _ frame: Frame, _ metadata: Metadata) throws -> Int32 {
        var context = unsafe __sk_buff()
        unsafe context.mark = metadata.mark
        unsafe context.ingress_ifindex = metadata.arrivedAt
        var options = unsafe bpf_test_run_opts()
        unsafe options.sz = MemoryLayout<bpf_test_run_opts>.size
        unsafe options.repeat = 1
        let status = unsafe frame.bytes.withUnsafeBytes { bytes in
            unsafe withUnsafeMutablePointer(to: &context) { context in
                unsafe options.data_in = bytes.baseAddress
                unsafe options.data_size_in = UInt32(bytes.count)
                unsafe options.ctx_in = UnsafeRawPointer(context)
                unsafe options.ctx_size_in = UInt32(MemoryLayout<__sk_buff>.size)
                return unsafe bpf_prog_test_run_opts(program, &options)
            }
        }
        guard status == 0 else { throw Failure("the kernel does not run it: \(status)") }
        return Int32(bitPattern: unsafe options.retval)
    }
}
