import Crypto
import Datapath
import Glibc
import Mesh
import WireGuard

/// This machine: looks at it, and performs steps on it.
struct HostMachine: ~Copyable {
    let backend: any WireGuardBackend
    let tables: Tables
    let pins: PinPaths
    /// The kernel's number for the tables: programs that were made for others see nothing that is written here.
    private let tablesID: UInt32
    /// The tables as the kernel last told, and as they were written since.
    private(set) var written: TableSet
    /// Every device that we may have made and not yet deleted, whether it stands or not.
    private(set) var made: Set<DeviceName>
    /// What the steps lead to, and where its sessions are.
    private var plan = Plan.empty
    private var places: [SessionID: SessionPlace] = [:]
    private var configured: [DeviceName: DeviceConfiguration] = [:]
    /// Where peers were last heard from, by devices that may be made anew.
    private var heard: [DeviceName: [WireGuardPublicKey: Endpoint]] = [:]
    /// Devices that were made, and have not been up since.
    private var fresh: Set<DeviceName> = []
    /// Devices that were given a classifier, until somebody has asked for them.
    var attached: Set<DeviceName> = []

    /// What an Ethernet frame holds, less what WireGuard adds over IPv6: headers of 40, 8 and 32 bytes.
    var mtu = Underlay.usualMTU

    init(backend: any WireGuardBackend, pins: PinPaths) throws {
        let opened = try Tables(pins: pins.tables)
        let found = try opened.read()
        let id = try opened.id()
        let devices = try pins.devices().union(backend.devices())
        // Nothing that can fail comes between the first member and the last.
        tables = opened
        (tablesID, written, made) = (id, found, devices)
        (self.backend, self.pins) = (backend, pins)
    }

    /// What the next steps are for.
    mutating func prepare(for plan: Plan, places: [SessionID: SessionPlace]) {
        (self.plan, self.places) = (plan, places)
    }

    /// Asks the kernel what the tables hold; says whether that is what we believed.
    mutating func readTables() throws(DatapathError) -> Bool {
        let found = try tables.read()
        defer { written = found }
        return found == written
    }

    /// The tables may hold any half of a change.
    mutating func doubtTables() { written = (try? tables.read()) ?? written }
}

// MARK: - Looking

extension HostMachine {
    /// Looks at some devices of the plan, and at all that are not in it.
    mutating func look(at names: some Sequence<DeviceName>) -> MachineState {
        var state = MachineState(tables: written)
        for name in made where plan.devices[name] == nil { state.devices[name] = SeenDevice() }
        for name in names {
            guard let device = plan.devices[name] else { continue }
            do {
                let seen = try look(at: name, device)
                state.devices[name] = seen
                if seen.location == .home || seen.location == .session {
                    heard[name] = seen.wireguard.peers.compactMapValues { $0.lastHandshake == nil ? nil : $0.endpoint }
                }
            } catch { state.unseen[name] = "\(error)" }
        }
        if let pool = plan.nodeDevice?.identity.pool, isMarked(wallMark, text(of: pool)),
            (try? Wall.verify(pins: pins.wall)) != nil
        {
            state.wall = pool
        }
        return state
    }

    private func look(at name: DeviceName, _ device: DevicePlan) throws -> SeenDevice {
        var seen = SeenDevice()
        seen.configured = configured[name]
        let place = try place(of: device.owner)
        if let place { try backend.adopt(name, in: place.namespace) }
        guard try backend.exists(name) else { return seen }
        seen.location = .elsewhere
        let links = try openLinks(place)
        guard let index = try links.index(of: name) else {
            if place != nil, try Links().index(of: name) != nil { seen.location = .home }
            return seen
        }
        seen.location = place == nil ? .home : .session
        seen.isUp = try links.all().contains { $0.index == index && $0.isUp }
        seen.addresses = Set(try links.addresses().filter { $0.index == index }.map(\.address))
        seen.routes = Set(try links.routes().filter { $0.index == index }.map(\.destination))
        seen.wireguard = try backend.state(of: name)
        let interface = UInt32(bitPattern: index)
        seen.guarding = guarding(of: name, device.identity, interface, place)
        if isMarked(hookMark(of: name), text(of: device.identity)) { seen.hook = device.identity }
        if place == nil { seen.isAdmitted = try Wall.meshDevices(tables: tables) == [interface] }
        return seen
    }

    private func guarding(
        of name: DeviceName, _ identity: DeviceIdentity, _ interface: UInt32, _ place: SessionPlace?
    ) -> SeenDevice.Guarding {
        do {
            let netns = place?.namespace.descriptor
            try Classifier.verify(interface: interface, netns: netns, pins: pins.classifier(of: name))
            return isMarked(classifierMark(of: name), text(of: identity)) ? .classifier(identity) : .other
        } catch { return .nothing }
    }

    /// Whether the classifier stands first in both chains of a device, as the kernel says.
    func isGuarded(_ name: DeviceName, _ device: DevicePlan, at places: [SessionID: SessionPlace]) -> Bool {
        do {
            let place = try place(of: device.owner, in: places)
            guard let index = try openLinks(place).index(of: name) else { return false }
            let interface = UInt32(bitPattern: index)
            return guarding(of: name, device.identity, interface, place) == .classifier(device.identity)
        } catch { return false }
    }

    private func place(of owner: DeviceOwner) throws(NodeError) -> SessionPlace? { try place(of: owner, in: places) }

    private func place(
        of owner: DeviceOwner, in places: [SessionID: SessionPlace]
    ) throws(NodeError) -> SessionPlace? {
        guard case .session(let id) = owner else { return nil }
        guard let place = places[id] else { throw NodeError("its session has no network namespace any more") }
        return place
    }

    private func openLinks(_ place: SessionPlace?) throws(LinkError) -> Links {
        guard let place else { return try Links() }
        return try Links(in: place.namespace)
    }
}

// MARK: - Doing

extension HostMachine: Machine {
    mutating func perform(_ step: Step) throws {
        switch step {
        case .tighten(let changes): try tighten(changes)
        case .loosen(let changes): try loosen(changes)
        case .delete(let name): try delete(name)
        case .create(let name): try create(name)
        case .move(let name, to: let session):
            guard let place = try place(of: .session(session)) else { return }
            try backend.move(name, to: place.namespace)
        case .attach(let name, let identity): try attach(name, identity)
        case .verify(let name):
            let (interface, place) = try whereabouts(of: name)
            let netns = place?.namespace.descriptor
            try Classifier.verify(interface: interface, netns: netns, pins: pins.classifier(of: name))
        case .hook(let name, let identity): try hook(name, identity)
        case .narrow(let name, let changes): try backend.apply(DeviceChanges(tightening: changes), to: name)
        case .extend(let name, let changes):
            try backend.apply(DeviceChanges(loosening: recalled(changes, of: name)), to: name)
            configured[name] = plan.devices[name]?.configuration
            // A session's peers know it by its key alone, and who only downloads sends nothing by himself.
            if changes.privateKey != nil, let device = plan.devices[name], case .session = device.owner {
                try backend.greet(device.configuration.peers.keys, in: device.configuration, from: name)
            }
        case .readBack(let name, let later): try readBack(name, later)
        case .quiet(let name): try quiet(name)
        case .raiseWall(let pool):
            try unmark(wallMark)
            try Wall.attach(around: pool, netns: nil, tables: tables, pins: pins.wall)
            try mark(wallMark, text(of: pool))
        case .admit(let name): try Wall.setMeshDevices([try whereabouts(of: name).interface], tables: tables)
        case .address(let name, let address): try add(address, to: name)
        case .up(let name):
            try links(of: name).bringUp(name)
            try greetAgain(name)
        case .route(let name, let network): try links(of: name).addRoute(to: network, through: name)
        case .takeDown(let name): try takeDown(name)
        }
    }

    /// Half of the removals may have been made when it fails: what the kernel does not tell counts as still there.
    private mutating func tighten(_ changes: TableChanges) throws {
        do { try tables.tighten(changes) } catch {
            doubtTables()
            throw error
        }
        for change in changes.tighten { written.apply(change) }
    }

    /// Takes from the tables what the plan does not hold, before devices are looked at: that takes milliseconds for each.
    /// What fails is found still to be done, and said, by the steps that follow.
    mutating func tightenAtOnce() {
        let changes = written.changes(to: plan.tables)
        if !changes.tighten.isEmpty { try? tighten(changes) }
    }

    /// Where it stops half way, what the kernel holds is asked; if even that fails all counts as written, so that a
    /// later plan takes away whatever may be there.
    private mutating func loosen(_ changes: TableChanges) throws {
        for change in changes.loosen { written.apply(change) }
        do { try tables.loosen(changes) } catch {
            doubtTables()
            throw error
        }
    }

    private mutating func delete(_ name: DeviceName) throws {
        try backend.delete(name)
        try Classifier.detach(pins: pins.classifier(of: name))
        try ConnectHook.detach(pins: pins.connectHook(of: name))
        try unmark(classifierMark(of: name))
        try unmark(hookMark(of: name))
        (configured[name], heard[name]) = (nil, nil)
        fresh.remove(name)
        made.remove(name)
    }

    /// What an earlier device of this name has left behind goes first.
    private mutating func create(_ name: DeviceName) throws {
        made.insert(name)
        fresh.insert(name)
        configured[name] = nil
        try backend.delete(name)
        try backend.create(name, mtu: mtu)
    }

    private mutating func attach(_ name: DeviceName, _ identity: DeviceIdentity) throws {
        let (interface, place) = try whereabouts(of: name)
        try unmark(classifierMark(of: name))
        try Classifier.attach(
            interface: interface, netns: place?.namespace.descriptor, identity: identity, tables: tables,
            pins: pins.classifier(of: name))
        try mark(classifierMark(of: name), text(of: identity))
        attached.insert(name)
    }

    /// Lends what keeps the classifier attached to a device.
    func withClassifier(of name: DeviceName, _ body: ([Int32]) throws -> Void) throws {
        try Classifier.withLinks(pins: pins.classifier(of: name), body)
    }

    private func hook(_ name: DeviceName, _ identity: DeviceIdentity) throws {
        guard let place = try whereabouts(of: name).place else { return }
        try unmark(hookMark(of: name))
        try ConnectHook.attach(
            cgroup: place.cgroup, identity: identity, tables: tables, pins: pins.connectHook(of: name))
        try mark(hookMark(of: name), text(of: identity))
    }

    private func readBack(_ name: DeviceName, _ later: Set<WireGuardPublicKey>) throws {
        guard let wanted = plan.devices[name]?.configuration else { return }
        var changes = wanted.changes(from: try backend.state(of: name))
        changes.tightening.removedPeers.subtract(later)
        guard changes.tightening.isEmpty, changes.loosening.peers.values.allSatisfy(\.allowedIPs.isEmpty) else {
            throw NodeError("WireGuard does not hold the peers and addresses that it was given")
        }
    }

    /// A device that is made anew finds its peers where they were: who does not speak first would not be found again
    /// before WireGuard misses an answer, 15 s later.
    private func recalled(
        _ changes: DeviceChanges.Loosening, of name: DeviceName
    ) -> DeviceChanges.Loosening {
        guard fresh.contains(name), let places = heard[name] else { return changes }
        var changes = changes
        for (key, addition) in changes.peers where addition.isNew {
            changes.peers[key]?.endpoint = places[key] ?? addition.endpoint
        }
        return changes
    }

    /// Whoever was heard before knows us by a session of WireGuard that is no more.
    private mutating func greetAgain(_ name: DeviceName) throws {
        guard fresh.remove(name) != nil, let places = heard[name], let device = plan.devices[name] else { return }
        try backend.greet(places.keys, in: device.configuration, from: name)
    }

    private func quiet(_ name: DeviceName) throws {
        let path = "net/ipv6/conf/\(name)/addr_gen_mode"
        if let place = try whereabouts(of: name).place { return try place.namespace.setSysctl(path, to: "1") }
        try NetworkNamespace.current().setSysctl(path, to: "1")
    }

    private func add(_ address: IPAddress, to name: DeviceName) throws {
        switch address {
        case .v4(let address): try links(of: name).add(address, to: name)
        case .v6(let address): try links(of: name).add(address, to: name)
        }
    }

    /// From now on devices take packets of this length, those that stand too.
    mutating func setMTU(_ mtu: Int) throws {
        guard mtu != self.mtu else { return }
        self.mtu = mtu
        for name in plan.devices.keys where try backend.exists(name) { try links(of: name).setMTU(mtu, of: name) }
    }

    private func takeDown(_ name: DeviceName) throws {
        do {
            try (plan.devices[name] == nil ? Links() : links(of: name)).bringDown(name)
        } catch { try backend.delete(name) }
    }

    private func links(of name: DeviceName) throws -> Links {
        guard let owner = plan.devices[name]?.owner else { throw NodeError("it is not planned") }
        return try openLinks(try place(of: owner))
    }

    private func whereabouts(of name: DeviceName) throws -> (interface: UInt32, place: SessionPlace?) {
        guard let owner = plan.devices[name]?.owner else { throw NodeError("it is not planned") }
        let place = try place(of: owner)
        guard let index = try openLinks(place).index(of: name) else { throw NodeError("it is not where it should be") }
        return (UInt32(bitPattern: index), place)
    }
}

// MARK: - Marks

/// What is attached says nothing of whom it was made for. So beside the pins stands a mark, a symbolic link that
/// leads nowhere: its text is the identity, with the version of the programs and the tables that they read. It is taken away before programs are
/// attached and put there after, so it never says more than is so.
extension HostMachine {
    private static let version = SHA256.hash(data: Array((Classifier.image + Wall.image).utf8)).description.suffix(16)

    private var wallMark: String { pins.root + "/wall-around" }
    private func classifierMark(of name: DeviceName) -> String { pins.root + "/classifier-of-" + name.rawValue }
    private func hookMark(of name: DeviceName) -> String { pins.root + "/hook-of-" + name.rawValue }

    private func text(of identity: DeviceIdentity) -> String {
        let numbers = [
            identity.kind == .session ? 1 : 0, identity.slot.rawValue, identity.generation.rawValue,
            identity.offset.rawValue,
        ]
        return text(of: identity.pool) + (numbers + identity.openers.sorted()).map { "-\($0)" }.joined()
    }

    private func text(of pool: AddressPool) -> String { "\(Self.version)-\(tablesID)-\(pool.v4Text)-\(pool.v6Text)" }

    private func isMarked(_ path: String, _ text: String) -> Bool {
        var bytes = [CChar](repeating: 0, count: 256)
        let size = bytes.count
        let count = unsafe readlink(path, &bytes, size)
        guard count > 0 else { return false }
        return String(decoding: bytes.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self) == text
    }

    private func mark(_ path: String, _ text: String) throws(NodeError) {
        guard unsafe symlink(text, path) == 0 else {
            throw NodeError("cannot put the mark `\(path)`: \(errorText())")
        }
    }

    private func unmark(_ path: String) throws(NodeError) {
        guard unsafe unlink(path) == 0 || errno == ENOENT else {
            throw NodeError("cannot remove the mark `\(path)`: \(errorText())")
        }
    }
}
