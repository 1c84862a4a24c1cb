package import Datapath
package import Mesh
package import WireGuard

/// Something that is not as the plan says.
package struct Problem: Equatable, Sendable {
    /// The device that it is about; nil for what concerns the whole node.
    package let device: DeviceName?
    package let text: String
}

/// Makes the machine what the plan says, in an order that is safe at every instant.
///
///     1 tighten   the tables lose what the plan does not hold: access ends here
///     2 peers     devices that must go, go; the others get classifier, peers and addresses
///     3 loosen    the tables gain what the plan adds
///
/// What fails leaves the machine tighter than planned, never looser: a device whose classifier cannot be relied on
/// is taken down, and tables that could not be tightened are not loosened.
package struct Reconciler: ~Copyable {
    private let backend: any WireGuardBackend
    private let tables: Tables
    private let pins: PinPaths
    private var written: TableSet
    private var standing: [DeviceName: Standing] = [:]
    /// Every device that we may have made and not yet deleted, whether it stands or not.
    private var made: Set<DeviceName> = []
    private var wall: AddressPool?

    /// A device that was set up.
    private struct Standing: Equatable {
        let owner: DeviceOwner
        let identity: DeviceIdentity
        let interface: UInt32
    }

    /// What an Ethernet frame holds, less what WireGuard adds over IPv6: headers of 40, 8 and 32 bytes.
    static let mtu = 1420

    package init(backend: any WireGuardBackend, pins: PinPaths) throws(DatapathError) {
        let opened = try Tables(pins: pins.tables)
        written = try opened.read()
        tables = opened
        (self.backend, self.pins) = (backend, pins)
    }

    /// The tables as an earlier run left them.
    package var tableSet: TableSet { written }

    /// Takes away what an earlier run left of devices other than this one: their sessions are over.
    package func removeLeftovers(except own: DeviceName) throws {
        for device in try pins.devices().union(try backend.devices()) where device != own {
            try backend.delete(device)
            try Classifier.detach(pins: pins.classifier(of: device))
            try ConnectHook.detach(pins: pins.connectHook(of: device))
        }
    }

    /// Brings everything to the plan, and says what was not as it should be.
    package mutating func apply(_ plan: Plan, places: [SessionID: SessionPlace]) -> [Problem] {
        var problems: [Problem] = []
        let changes = written.changes(to: plan.tables)
        do { try tables.tighten(changes) } catch {
            // Half of the removals may have been made: what the kernel does not tell counts as still there, to be
            // removed again, and until all is as tight as planned nothing may pass.
            written = (try? tables.read()) ?? written
            problems.append(Problem(device: nil, text: "\(error)"))
            removeDevices(notIn: plan, problems: &problems)
            for (name, device) in plan.devices { takeDown(name, device.owner, at: places, problems: &problems) }
            return problems
        }
        removeDevices(notIn: plan, problems: &problems)
        for change in changes.tighten { written.apply(change) }
        var isSafe = true
        for (name, device) in plan.devices.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            do { try setUp(name, device, at: places, problems: &problems) } catch {
                problems.append(Problem(device: name, text: "device `\(name)`: \(error)"))
                isSafe = takeDown(name, device.owner, at: places, problems: &problems) && isSafe
            }
        }
        // A device that is up without a classifier to rely on gets no table widened beside it.
        if isSafe { loosen(changes, problems: &problems) }
        return problems
    }

    /// Where it stops half way, what the kernel holds is asked; if even that fails all counts as written, so that a
    /// later plan takes away whatever may be there.
    private mutating func loosen(_ changes: TableChanges, problems: inout [Problem]) {
        for change in changes.loosen { written.apply(change) }
        do { try tables.loosen(changes) } catch {
            problems.append(Problem(device: nil, text: "\(error)"))
            do { written = try tables.read() } catch {
                problems.append(Problem(device: nil, text: "\(error)"))
            }
        }
    }
}

// MARK: - Devices

extension Reconciler {
    private mutating func removeDevices(notIn plan: Plan, problems: inout [Problem]) {
        for name in made where plan.devices[name] == nil {
            do {
                try backend.delete(name)
                try Classifier.detach(pins: pins.classifier(of: name))
                try ConnectHook.detach(pins: pins.connectHook(of: name))
                standing[name] = nil
                made.remove(name)
            } catch { problems.append(Problem(device: name, text: "device `\(name)` should go: \(error)")) }
        }
    }

    private mutating func setUp(
        _ name: DeviceName, _ plan: DevicePlan, at places: [SessionID: SessionPlace], problems: inout [Problem]
    ) throws {
        let place = try place(of: plan.owner, places)
        try ensureExists(name, place)
        let links = try openLinks(place)
        guard let index = try links.index(of: name) else { throw NodeError("it is not where it should be") }
        let interface = UInt32(bitPattern: index)
        try ensureGuarded(name, plan, interface, place, problems: &problems)
        try backend.configure(name, as: plan.configuration)
        try quiet(name, place)
        if place == nil { try raiseWall(around: plan.identity.pool, device: interface, problems: &problems) }
        try ensureReachable(name, plan, interface, links)
    }

    private mutating func ensureExists(_ name: DeviceName, _ place: SessionPlace?) throws {
        made.insert(name)
        guard try !backend.exists(name) else { return }
        standing[name] = nil
        try backend.delete(name)
        try backend.create(name, mtu: Self.mtu)
        if let place { try Links().move(name, to: place.namespace) }
    }

    /// A device is down until its classifier stands first in both of its chains.
    private mutating func ensureGuarded(
        _ name: DeviceName, _ plan: DevicePlan, _ interface: UInt32, _ place: SessionPlace?, problems: inout [Problem]
    ) throws(DatapathError) {
        let wanted = Standing(owner: plan.owner, identity: plan.identity, interface: interface)
        let (netns, path) = (place?.namespace.descriptor, pins.classifier(of: name))
        if standing[name] == wanted {
            do {
                return try Classifier.verify(interface: interface, netns: netns, pins: path)
            } catch { problems.append(Problem(device: name, text: "\(error); it has been attached again")) }
        }
        try Classifier.attach(
            interface: interface, netns: netns, identity: plan.identity, tables: tables, pins: path)
        try Classifier.verify(interface: interface, netns: netns, pins: path)
        if let place {
            try ConnectHook.attach(
                cgroup: place.cgroup, identity: plan.identity, tables: tables, pins: pins.connectHook(of: name))
        }
        standing[name] = wanted
    }

    /// No link-local address: the kernel would ask for routers through it, and every packet would count as a denial.
    private func quiet(_ name: DeviceName, _ place: SessionPlace?) throws(LinkError) {
        let path = "net/ipv6/conf/\(name)/addr_gen_mode"
        if let place { return try place.namespace.setSysctl(path, to: "1") }
        try NetworkNamespace.current().setSysctl(path, to: "1")
    }

    private mutating func raiseWall(
        around pool: AddressPool, device: UInt32, problems: inout [Problem]
    ) throws(DatapathError) {
        try Wall.setMeshDevices([device], tables: tables)
        if wall == pool {
            do { return try Wall.verify(pins: pins.wall) } catch {
                problems.append(Problem(device: nil, text: "\(error); it has been put up again"))
            }
        }
        try Wall.attach(around: pool, netns: nil, tables: tables, pins: pins.wall)
        wall = pool
    }

    private func ensureReachable(
        _ name: DeviceName, _ plan: DevicePlan, _ interface: UInt32, _ links: borrowing Links
    ) throws(LinkError) {
        let index = Int32(bitPattern: interface)
        let pool = plan.identity.pool
        let (v4, v6) = (pool.ipv4(at: plan.identity.offset), pool.ipv6(at: plan.identity.offset))
        let addresses = Set(try links.addresses().filter { $0.index == index }.map(\.address))
        if !addresses.contains(.v4(v4)) { try links.add(v4, to: name) }
        if !addresses.contains(.v6(v6)) { try links.add(v6, to: name) }
        if try !links.all().contains(where: { $0.index == index && $0.isUp }) { try links.bringUp(name) }
        let routes = Set(try links.routes().filter { $0.index == index }.map(\.destination))
        for network in pool.networks where !routes.contains(network) { try links.addRoute(to: network, through: name) }
    }

    /// The last resort: a device that cannot be set up carries nothing.
    @discardableResult
    private mutating func takeDown(
        _ name: DeviceName, _ owner: DeviceOwner, at places: [SessionID: SessionPlace], problems: inout [Problem]
    ) -> Bool {
        standing[name] = nil
        do {
            do { try openLinks(try place(of: owner, places)).bringDown(name) } catch { try backend.delete(name) }
            return true
        } catch {
            problems.append(Problem(device: name, text: "device `\(name)` should be down: \(error)"))
            return false
        }
    }

    private func place(
        of owner: DeviceOwner, _ places: [SessionID: SessionPlace]
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

// MARK: - What is

extension AddressPool {
    /// A route of this machine, not through `device`, that leads where the mesh's addresses are.
    func overlappingRoute(except device: DeviceName) throws(LinkError) -> IPPrefix? {
        let links = try Links()
        let own = try links.index(of: device)
        return try links.routes().first { route in
            route.destination.length > 0 && (route.index == nil || route.index != own)
                && networks.contains { $0.overlaps(route.destination) }
        }?.destination
    }
}

extension Reconciler {
    package func events() throws(DatapathError) -> EventStream { try EventStream(tables) }

    package func packetCounts() throws(DatapathError) -> [Place: [Reason: Count]] { try tables.counts() }

    /// What WireGuard itself says of a device.
    package func state(of device: DeviceName) -> DeviceState? { try? backend.state(of: device) }

    /// Whether the classifier stands first in both chains of a device, as the kernel says.
    package func isGuarded(_ device: DeviceName, at places: [SessionID: SessionPlace]) -> Bool {
        guard let known = standing[device] else { return false }
        do {
            let netns = try place(of: known.owner, places)?.namespace.descriptor
            try Classifier.verify(interface: known.interface, netns: netns, pins: pins.classifier(of: device))
            return true
        } catch { return false }
    }
}

extension AddressPool {
    fileprivate var networks: [IPPrefix] {
        [
            IPPrefix(v4Base, length: Self.v4PrefixLength),
            IPPrefix(IPv6Address(high: v6Prefix, low: 0), length: Self.v6PrefixLength),
        ].compactMap(\.self)
    }
}
