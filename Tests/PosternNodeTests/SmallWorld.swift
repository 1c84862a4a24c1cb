import Datapath
import Mesh
import PosternNode
import Testing
import WireGuard

/// Plans and machines at random, small enough that they often touch the same addresses, slots and keys.
struct SmallWorld {
    let pool: AddressPool
    let offsets: [MeshOffset]
    let ports: [Port]
    /// Some leases end between the two.
    static let instants = [BootTime(rawValue: 1000), BootTime(rawValue: 2000)]
    static let node = DeviceName.loopback

    private let slots: [Slot]
    private let classes: [ServiceClass]
    private let sessions: [(DeviceName, SessionID)]
    private var random: SeededGenerator

    /// Someone who has an address, a key and a number that is never another's.
    private struct Peer {
        let generation: Generation
        let offset: MeshOffset
        let slot: Slot
        let key: WireGuardPrivateKey
    }

    init(seed: UInt64) throws {
        pool = try #require(AddressPool(v4Base: IPv4Address(rawValue: 10 << 24), v6Prefix: 0xfd << 56 | 7))
        offsets = try (1...5).map { try #require(MeshOffset(rawValue: $0)) }
        ports = try [80, 81].map { try port($0) }
        slots = try (1...6).map { try #require(Slot(rawValue: $0)) }
        classes = try (1...4).map { try #require(ServiceClass(rawValue: $0)) }
        sessions = try (1...3).map {
            (try #require(DeviceName("s\($0)")), SessionID(unchecked: hex([UInt8](repeating: $0, count: 16))))
        }
        random = SeededGenerator(seed: seed)
    }

    mutating func plan() throws -> Plan {
        var plan = Plan.empty
        let peers = try peers()
        plan.tables = tables(of: peers)
        var owners: [(DeviceName, DeviceOwner)] = [(Self.node, .node)]
        owners += sessions.map { ($0.0, .session($0.1)) }.filter { _ in chance(2) }
        for ((name, owner), own) in zip(owners, peers) {
            let others = peers.filter { $0.generation != own.generation && chance(2) }
            plan.devices[name] = try device(owner, own, others)
        }
        return plan
    }

    /// A machine that was brought to some plan, and then touched by many hands.
    mutating func state() throws -> MachineState {
        var machine = ModelMachine(MachineState(), pool: pool)
        if chance(8) { return machine.state }
        let plan = try plan()
        for step in PlanSteps(from: machine.state.looking(at: plan), to: plan).steps { try machine.perform(step) }
        var state = machine.state
        for name in state.devices.keys.sorted(by: { $0.rawValue < $1.rawValue }) where chance(2) {
            try disturb(name, &state)
        }
        if chance(4) { state.wall = nil }
        if chance(3) { disturb(&state.tables, with: tables(of: try peers())) }
        return state
    }

    private mutating func peers() throws -> [Peer] {
        let slots = slots.shuffled(using: &random)
        return try zip(offsets.shuffled(using: &random), slots).map { offset, slot in
            // Two lives of each address; a life that rotates its key stays the same peer.
            let generation = offset.rawValue * 10 + UInt32.random(in: 0...1, using: &random)
            return Peer(
                generation: try #require(Generation(rawValue: generation)), offset: offset, slot: slot,
                key: try key(generation * 10 + (chance(4) ? 1 : 0)))
        }
    }

    private mutating func tables(of peers: [Peer]) -> TableSet {
        var tables = TableSet()
        for peer in peers {
            let lease = SmallWorld.instants[chance(4) ? 0 : 1] + .nanoseconds(500)
            tables.peers[peer.offset] = PeerEntry(slot: peer.slot, generation: peer.generation, lease: lease)
            tables.rows[peer.slot] = peer.generation
        }
        let classes = classes.shuffled(using: &random)
        for (number, peer) in zip(classes, peers) {
            tables.services[ServiceKey(slot: peer.slot, port: ports[chance(2) ? 0 : 1], transport: .tcp)] = number
            for caller in peers where chance(2) {
                tables.verdicts[VerdictKey(slot: caller.slot, serviceClass: number)] = .allow
            }
        }
        return tables
    }

    private mutating func device(_ owner: DeviceOwner, _ own: Peer, _ others: [Peer]) throws -> DevicePlan {
        var peers: [WireGuardPublicKey: PeerConfiguration] = [:]
        for peer in others {
            peers[peer.key.publicKey] = PeerConfiguration(allowedIPs: hosts(peer.offset))
        }
        return DevicePlan(
            owner: owner,
            configuration: try DeviceConfiguration(privateKey: own.key, listenPort: try port(5000), peers: peers),
            identity: DeviceIdentity(
                kind: owner == .node ? .node : .session, slot: own.slot, generation: own.generation,
                offset: own.offset, pool: pool))
    }

    private func hosts(_ offset: MeshOffset) -> Set<IPPrefix> {
        [.host(pool.ipv4(at: offset)), .host(pool.ipv6(at: offset))]
    }

    private mutating func disturb(_ name: DeviceName, _ state: inout MachineState) throws {
        guard var device = state.devices[name] else { return }
        switch Int.random(in: 0..<9, using: &random) {
        case 0: device.guarding = .nothing
        case 1: (device.isUp, device.routes) = (false, [])
        case 2: device = SeenDevice()
        case 3: device.location = .elsewhere
        case 4: device.addresses = []
        case 5: device.routes = []
        case 6: (device.isAdmitted, device.hook) = (false, nil)
        case 7:
            let stranger = try key(900 + UInt32.random(in: 0...1, using: &random)).publicKey
            let taken = hosts(offsets[Int.random(in: offsets.indices, using: &random)])
            for other in device.wireguard.peers.keys { device.wireguard.peers[other]?.allowedIPs.subtract(taken) }
            device.wireguard.peers[stranger] = PeerState(allowedIPs: taken)
        default: device.wireguard.peers = [:]
        }
        state.devices[name] = device
    }

    /// Entries of another life, as a run that broke off leaves them.
    private mutating func disturb(_ tables: inout TableSet, with other: TableSet) {
        for write in tables.changes(to: other).tighten + tables.changes(to: other).loosen where chance(2) {
            tables.apply(write)
        }
    }

    mutating func chance(_ outOf: Int) -> Bool { Int.random(in: 0..<outOf, using: &random) == 0 }
    mutating func number(below limit: Int) -> Int { Int.random(in: 0..<limit, using: &random) }
}

extension MachineState {
    /// The same with everything looked at that a plan speaks of.
    func looking(at plan: Plan) -> MachineState {
        var state = self
        for name in plan.devices.keys where state.devices[name] == nil { state.devices[name] = SeenDevice() }
        return state
    }
}
