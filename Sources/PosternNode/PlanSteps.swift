import Datapath
import Mesh
import WireGuard

/// The way from the machine as it is to the machine as planned: no I/O.
///
///     0 mend      what judges packets stands where packets flow: classifiers of devices that are up, the wall
///     1 tighten   the tables lose what the plan does not hold
///     2 devices   those that must go, go; each of the others: create, move, fewer peers, classifier, verify,
///                 more peers, read back, addresses, up, routes
///     3 loosen    the tables gain what the plan adds
///
/// An address that moves to another key is zero in the tables while WireGuard moves it.
package struct PlanSteps: Equatable, Sendable {
    package private(set) var steps: [Step] = []
    /// Peers whose removal waits for another round; nothing of theirs is in the tables any more.
    package private(set) var postponed = 0

    /// Removing a peer costs the kernel a wait for all its processors, so a round removes so many and no more.
    package static let removalsInRound = 64

    package init(from seen: MachineState, to plan: Plan, removals: Int = removalsInRound) {
        let changes = seen.tables.changes(to: plan.tables)
        let devices = plan.devices.sorted { $0.key.rawValue < $1.key.rawValue }
        if let pool = plan.nodeDevice?.identity.pool, seen.wall != pool { steps.append(.raiseWall(pool)) }
        for (name, device) in devices {
            guard let found = seen.devices[name], found.isOpen, found.location == device.location else { continue }
            steps += [.attach(name, device.identity), .verify(name)]
        }
        if !changes.tighten.isEmpty { steps.append(.tighten(changes)) }
        let unplanned = seen.devices.keys.filter { plan.devices[$0] == nil }
        steps += unplanned.sorted { $0.rawValue < $1.rawValue }.map { .delete($0) }
        var removals = removals
        for (name, device) in devices {
            if seen.unseen[name] != nil {
                steps.append(.takeDown(name))
            } else if let found = seen.devices[name] {
                setUp(name, device, found, tables: plan.tables, removals: &removals)
            }
        }
        if !changes.loosen.isEmpty { steps.append(.loosen(changes)) }
    }

    /// A device is down until its classifier stands first in both of its chains.
    private mutating func setUp(
        _ name: DeviceName, _ plan: DevicePlan, _ found: SeenDevice, tables: TableSet, removals: inout Int
    ) {
        var present = found
        if found.location != plan.location, found.location != .home {
            steps.append(.create(name))
            present = SeenDevice()
        }
        if case .session(let id) = plan.owner, present.location != .session {
            steps.append(.move(name, to: id))
            // The move takes it down, and with that go addresses and routes.
            (present.isUp, present.addresses, present.routes) = (false, [], [])
        }
        let (changes, later) = changes(plan, present, tables: tables, removals: &removals)
        // Before the classifier speaks for the new owner: what the old one's peers may do is not for him.
        if !changes.tightening.isEmpty { steps.append(.narrow(name, changes.tightening)) }
        if present.guarding != .classifier(plan.identity), !present.isOpen {
            steps += [.attach(name, plan.identity), .verify(name)]
        }
        if case .session = plan.owner, present.hook != plan.identity { steps.append(.hook(name, plan.identity)) }
        if !changes.loosening.isEmpty { steps.append(.extend(name, changes.loosening)) }
        if !changes.isEmpty { steps.append(.readBack(name, later: later)) }
        if !present.isUp { steps.append(.quiet(name)) }
        if case .node = plan.owner, !present.isAdmitted { steps.append(.admit(name)) }
        let pool = plan.identity.pool
        let own: [IPAddress] = [.v4(pool.ipv4(at: plan.identity.offset)), .v6(pool.ipv6(at: plan.identity.offset))]
        steps += own.filter { !present.addresses.contains($0) }.map { .address(name, $0) }
        if !present.isUp { steps.append(.up(name)) }
        steps += pool.networks.filter { !present.routes.contains($0) }.map { .route(name, $0) }
    }

    /// What WireGuard has to change, and the peers that it forgets in a later round.
    private mutating func changes(
        _ plan: DevicePlan, _ found: SeenDevice, tables: TableSet, removals: inout Int
    ) -> (changes: DeviceChanges, later: Set<WireGuardPublicKey>) {
        var changes = plan.configuration.changes(from: found.wireguard)
        changes.loosening.keepLearned(plan.configuration, found)
        var later: Set<WireGuardPublicKey> = []
        if changes.tightening.removedPeers.count > removals {
            // An address that somebody else has, here or in the tables, must not stay with the key that had it.
            let taken = tables.addresses(in: plan.identity.pool).union(
                changes.loosening.peers.values.flatMap(\.allowedIPs))
            later = changes.tightening.postpone(to: removals) { key in
                found.wireguard.peers[key]?.allowedIPs.isDisjoint(with: taken) ?? true
            }
        }
        removals = max(0, removals - changes.tightening.removedPeers.count)
        postponed += later.count
        return (changes, later)
    }
}

extension DevicePlan {
    fileprivate var location: SeenDevice.Location {
        switch owner {
        case .node: .home
        case .session: .session
        }
    }
}

extension SeenDevice {
    /// Packets may flow and nobody judges them.
    fileprivate var isOpen: Bool { isUp && guarding == .nothing }
}

extension TableSet {
    /// Every address of which the tables say something.
    fileprivate func addresses(in pool: AddressPool) -> Set<IPPrefix> {
        Set(peers.keys.flatMap { [.host(pool.ipv4(at: $0)), .host(pool.ipv6(at: $0))] })
    }
}

extension DeviceChanges.Tightening {
    /// Leaves the removal of peers that may wait for later rounds, down to a number of removals; gives those peers.
    fileprivate mutating func postpone(
        to limit: Int, where mayWait: (WireGuardPublicKey) -> Bool
    ) -> Set<WireGuardPublicKey> {
        guard removedPeers.count > limit else { return [] }
        let patient = removedPeers.filter(mayWait).sorted { $0.description < $1.description }
        let later = Set(patient.suffix(removedPeers.count - limit))
        removedPeers.subtract(later)
        return later
    }
}

extension DeviceChanges.Loosening {
    /// Where a peer's own packets came from counts more than what was set before they came.
    fileprivate mutating func keepLearned(_ wanted: DeviceConfiguration, _ found: SeenDevice) {
        for (key, addition) in peers where !addition.isNew && addition.endpoint != nil {
            guard found.wireguard.peers[key]?.endpoint != nil,
                found.configured?.peers[key]?.endpoint == wanted.peers[key]?.endpoint
            else { continue }
            peers[key]?.endpoint = nil
            if peers[key]?.isEmpty == true { peers[key] = nil }
        }
    }
}

extension AddressPool {
    var networks: [IPPrefix] {
        [
            IPPrefix(v4Base, length: Self.v4PrefixLength),
            IPPrefix(IPv6Address(high: v6Prefix, low: 0), length: Self.v6PrefixLength),
        ].compactMap(\.self)
    }
}
