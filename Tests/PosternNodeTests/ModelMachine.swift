import Datapath
import Mesh
import PosternNode
import WireGuard

/// A machine of which the kernel's part is values: it does what a step says, and tells after each single change.
struct ModelMachine: Machine {
    struct Broken: Error {}

    var state: MachineState
    /// Steps that this machine cannot do.
    var refuses: (Step) -> Bool = { _ in false }
    /// Called after each change that packets could notice.
    var changed: (MachineState) -> Void = { _ in }
    private let pool: AddressPool

    init(_ state: MachineState, pool: AddressPool) { (self.state, self.pool) = (state, pool) }

    mutating func perform(_ step: Step) throws {
        guard !refuses(step) else { throw Broken() }
        switch step {
        case .tighten(let changes): write(changes.tighten)
        case .loosen(let changes): write(changes.loosen)
        case .raiseWall(let pool): state.wall = pool
        case .delete(let name): state.devices[name] = nil
        case .create(let name):
            state.devices[name] = SeenDevice()
            state.devices[name]?.location = .home
        case .takeDown(let name):
            state.devices[name]?.isUp = false
            state.devices[name]?.routes = []
        default:
            guard let name = step.device, var device = state.devices[name] else { throw Broken() }
            try perform(step, on: &device)
            state.devices[name] = device
        }
        changed(state)
    }

    private func perform(_ step: Step, on device: inout SeenDevice) throws {
        switch step {
        case .move:
            guard device.location == .home else { throw Broken() }
            (device.location, device.isUp, device.addresses, device.routes) = (.session, false, [], [])
        case .attach(_, let identity): device.guarding = .classifier(identity)
        case .verify: guard case .classifier = device.guarding else { throw Broken() }
        case .hook(_, let identity): device.hook = identity
        case .narrow(_, let changes): device.wireguard.narrow(changes)
        case .extend(_, let changes): device.wireguard.extend(changes)
        case .quiet: guard !device.isUp else { throw Broken() }
        case .admit: device.isAdmitted = true
        case .address(_, let address):
            // Where the mesh address is, the wall must stand already.
            guard device.location == .session || state.wall != nil, device.addresses.insert(address).inserted else {
                throw Broken()
            }
        case .up: device.isUp = true
        case .route(_, let network):
            guard device.isUp, device.routes.insert(network).inserted else { throw Broken() }
        default: break
        }
    }

    private mutating func write(_ writes: [TableWrite]) {
        for write in writes {
            state.tables.apply(write)
            changed(state)
        }
    }
}

extension DeviceState {
    fileprivate mutating func narrow(_ changes: DeviceChanges.Tightening) {
        for key in changes.removedPeers { peers[key] = nil }
        for (key, kept) in changes.keptAllowedIPs { peers[key]?.allowedIPs = kept }
    }

    /// As WireGuard does it: a prefix that is given to one peer is silently taken from another.
    fileprivate mutating func extend(_ changes: DeviceChanges.Loosening) {
        if let key = changes.privateKey { publicKey = key.publicKey }
        if let port = changes.listenPort { listenPort = port }
        for (key, addition) in changes.peers {
            for other in peers.keys { peers[other]?.allowedIPs.subtract(addition.allowedIPs) }
            var peer = peers[key] ?? PeerState()
            peer.allowedIPs.formUnion(addition.allowedIPs)
            peer.endpoint = addition.endpoint ?? peer.endpoint
            peer.keepaliveSeconds = addition.keepaliveSeconds ?? peer.keepaliveSeconds
            peers[key] = peer
        }
    }
}

/// A packet that opens something, as the far end and the tables know it.
struct Flow: Hashable {
    let device: DeviceName
    let isArriving: Bool
    let key: WireGuardPublicKey
    let source: MeshOffset
    let destination: MeshOffset
    /// Whom the tables take them for; nil where nobody asks the tables.
    let principals: [Generation]?
    let port: Port

    var unjudged: Flow {
        Flow(
            device: device, isArriving: isArriving, key: key, source: source, destination: destination,
            principals: nil, port: port)
    }
}

extension MachineState {
    /// Every packet that this machine lets pass, of a small world.
    func flows(in world: SmallWorld, at now: BootTime) -> Set<Flow> {
        var flows: Set<Flow> = []
        for (name, device) in devices where device.isUp {
            for (key, peer) in device.wireguard.peers {
                for offset in world.offsets where peer.allowedIPs.contains(.host(world.pool.ipv4(at: offset))) {
                    flows.formUnion(self.flows(name, device, key, offset, world, now))
                }
            }
        }
        return flows
    }

    private func flows(
        _ name: DeviceName, _ device: SeenDevice, _ key: WireGuardPublicKey, _ far: MeshOffset, _ world: SmallWorld,
        _ now: BootTime
    ) -> [Flow] {
        func flow(_ isArriving: Bool, _ own: MeshOffset, _ principals: [Generation]?, _ port: Port) -> Flow {
            Flow(
                device: name, isArriving: isArriving, key: key, source: isArriving ? far : own,
                destination: isArriving ? own : far, principals: principals, port: port)
        }
        guard case .classifier(let identity) = device.guarding else {
            return world.offsets.flatMap { own in
                world.ports.flatMap { port in [flow(true, own, nil, port), flow(false, own, nil, port)] }
            }
        }
        guard let own = tables.peers[identity.offset], own.slot == identity.slot, own.generation == identity.generation
        else { return [] }
        return world.ports.flatMap { port in
            [true, false].filter { isArriving in
                let (source, destination) = isArriving ? (far, identity.offset) : (identity.offset, far)
                return tables.opens(from: source, to: destination, port: port, at: now)
            }.map { isArriving in
                let ends = isArriving ? [far, identity.offset] : [identity.offset, far]
                return flow(isArriving, identity.offset, ends.compactMap { tables.peers[$0]?.generation }, port)
            }
        }
    }
}
