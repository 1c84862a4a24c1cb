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
///     look at the machine ─> PlanSteps (pure) ─> Execution ─> kernel, WireGuard, tables
///
/// It may be killed between any two steps, and starts from what it finds. What stands already takes no step.
package struct Reconciler: ~Copyable {
    /// How much of the machine is looked at.
    package enum Scope: Equatable, Sendable {
        /// What the plan changes, and what is not yet as planned.
        case changes
        /// These devices, too.
        case some(Set<DeviceName>)
        /// Every device, too.
        case devices
        /// The tables, too.
        case everything
    }

    private var machine: HostMachine
    /// Devices that were brought to this plan and have not been found otherwise since.
    private var settled: [DeviceName: DevicePlan] = [:]
    private var hasWall = false
    /// What was not as it had been left, and has been mended.
    package private(set) var drift = DriftLog()
    private var freshDrift: [String] = []
    /// Whether there are peers whose removal waits for another round.
    package private(set) var hasMore = false

    package init(backend: any WireGuardBackend, pins: PinPaths) throws {
        machine = try HostMachine(backend: backend, pins: pins)
    }

    /// The tables as an earlier run left them, and as they were written since.
    package var tableSet: TableSet { machine.written }

    /// How long the packets of the tunnels may be.
    package mutating func setMTU(_ mtu: Int) throws { try machine.setMTU(mtu) }

    /// Takes away what an earlier run left of devices other than these.
    package mutating func removeLeftovers(except kept: Set<DeviceName>) throws {
        for device in machine.made where !kept.contains(device) { try machine.perform(.delete(device)) }
    }

    /// Takes from the tables what the plan does not hold. What fails is found still to be done, and said, by `apply`.
    package mutating func cutOff(_ plan: Plan, places: [SessionID: SessionPlace]) {
        machine.prepare(for: plan, places: places)
        machine.tightenAtOnce()
    }

    /// Brings everything to the plan, and says what could not be done.
    package mutating func apply(
        _ plan: Plan, places: [SessionID: SessionPlace], scope: Scope = .devices
    ) -> [Problem] {
        machine.prepare(for: plan, places: places)
        if scope == .everything { compareTables() }
        machine.tightenAtOnce()
        let names = plan.devices.keys.filter { scope.includes($0) || settled[$0] != plan.devices[$0] }
        let seen = machine.look(at: names)
        let planned = PlanSteps(from: seen, to: plan)
        noteDrift(in: planned.steps, plan: plan)
        var execution = Execution(of: plan, known: seen.unseen)
        execution.run(planned.steps, on: &machine)
        settle(plan, execution)
        hasMore = planned.postponed > 0
        return execution.problems
    }

    /// The devices to which the classifier was attached since the last time that this was asked.
    package mutating func takeAttached() -> Set<DeviceName> {
        defer { machine.attached = [] }
        return machine.attached
    }

    /// Lends the descriptors that keep the classifier attached to a device.
    package func withClassifier(of name: DeviceName, _ body: ([Int32]) throws -> Void) throws {
        try machine.withClassifier(of: name, body)
    }

    /// What was found since the last time that this was asked.
    package mutating func takeFreshDrift() -> [String] {
        defer { freshDrift = [] }
        return freshDrift
    }

    private mutating func note(_ text: String) {
        if drift.note(text, at: .now()) { freshDrift.append(text) }
    }

    private mutating func settle(_ plan: Plan, _ execution: Execution) {
        settled = plan.devices.filter { !execution.failed.contains($0.key) }
        hasWall = plan.nodeDeviceName.map { settled[$0] != nil } ?? hasWall
    }

    /// What is needed for a device that stood as planned has come from elsewhere.
    private mutating func noteDrift(in steps: [Step], plan: Plan) {
        let grave = Dictionary(grouping: steps.filter { $0.drift != nil }, by: \.device)
        for (name, steps) in grave {
            if let name {
                guard settled[name] != nil, settled[name] == plan.devices[name] else { continue }
            } else if !hasWall {
                continue
            }
            // One cause needs several steps: the gravest names it.
            if let text = steps.max(by: { $0.gravity < $1.gravity })?.drift { note(text) }
        }
    }

    private mutating func compareTables() {
        do {
            if try !machine.readTables() { note("the tables were changed by somebody else; they have been mended") }
        } catch { note("\(error)") }
    }
}

extension Reconciler.Scope {
    fileprivate func includes(_ device: DeviceName) -> Bool {
        switch self {
        case .changes: false
        case .some(let devices): devices.contains(device)
        case .devices, .everything: true
        }
    }
}

/// What was found changed by somebody else, for an hour after it was last found.
package struct DriftLog: Equatable, Sendable {
    private static let memory = Duration.seconds(3600)
    private static let capacity = 64
    private var found: [String: BootTime] = [:]

    package init() {}

    /// Whether that is news.
    package mutating func note(_ text: String, at now: BootTime) -> Bool {
        found = found.filter { now - $0.value < Self.memory }
        guard found[text] != nil || found.count < Self.capacity else { return false }
        return found.updateValue(now, forKey: text) == nil
    }

    /// In the order in which they were found.
    package func texts(at now: BootTime) -> [String] {
        found.filter { now - $0.value < Self.memory }.sorted { ($0.value, $0.key) < ($1.value, $1.key) }.map(\.key)
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
    package func events() throws(DatapathError) -> EventStream { try EventStream(machine.tables) }

    /// Why the wall is not to be relied on; nil when it is.
    package func wallError() -> String? {
        do {
            try Wall.verify(pins: machine.pins.wall)
            return nil
        } catch { return "\(error)" }
    }

    package func packetCounts() throws(DatapathError) -> [Place: [Reason: Count]] { try machine.tables.counts() }

    /// What WireGuard itself says of a device.
    package func state(of device: DeviceName) -> DeviceState? { try? machine.backend.state(of: device) }

    /// Whether the classifier stands first in both chains of a device, as the kernel says.
    package func isGuarded(_ device: DeviceName, at places: [SessionID: SessionPlace]) -> Bool {
        guard let planned = settled[device] else { return false }
        return machine.isGuarded(device, planned, at: places)
    }
}
