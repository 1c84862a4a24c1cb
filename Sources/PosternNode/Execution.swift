package import WireGuard

/// Something that steps are done to: this machine, or a model of one.
package protocol Machine: ~Copyable {
    mutating func perform(_ step: Step) throws
}

/// Performs steps one after another, and says what went wrong.
///
/// What fails leaves the machine tighter than planned, never looser: a device of which a step failed is taken down
/// and left so, and nothing is loosened beside a device that could not be taken down, or after tables that could
/// not be tightened.
package struct Execution {
    package private(set) var problems: [Problem] = []
    /// The devices that are not as planned.
    package private(set) var failed: Set<DeviceName> = []
    /// Whether every step that was to be made on tables was made.
    package private(set) var tablesFailed = false

    private let plan: Plan
    private var mayLoosen = true

    /// `known` says what is wrong before the first step: devices that could not be looked at.
    package init(of plan: Plan, known: [DeviceName: String] = [:]) {
        self.plan = plan
        for (name, reason) in known.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            failed.insert(name)
            note(name, reason)
        }
    }

    package mutating func run<M: Machine & ~Copyable>(_ steps: [Step], on machine: inout M) {
        for step in steps {
            switch step {
            case .tighten:
                guard tighten(step, on: &machine) else { return closeAll(steps, on: &machine) }
            case .loosen:
                if mayLoosen { change(step, on: &machine) }
            case .takeDown(let name): takeDown(name, on: &machine)
            case .delete(let name): delete(name, on: &machine)
            default: setUp(step, on: &machine)
            }
        }
    }

    private mutating func setUp<M: Machine & ~Copyable>(_ step: Step, on machine: inout M) {
        // The wall is as much a part of the node's own device as its classifier.
        guard let name = step.device ?? plan.nodeDeviceName, !failed.contains(name) else { return }
        do { try machine.perform(step) } catch {
            failed.insert(name)
            note(name, "\(error)")
            takeDown(name, on: &machine)
        }
    }

    private mutating func takeDown<M: Machine & ~Copyable>(_ name: DeviceName, on machine: inout M) {
        do { try machine.perform(.takeDown(name)) } catch {
            mayLoosen = false
            problems.append(Problem(device: name, text: "device `\(name)` should be down: \(error)"))
        }
    }

    private mutating func delete<M: Machine & ~Copyable>(_ name: DeviceName, on machine: inout M) {
        do { try machine.perform(.delete(name)) } catch {
            failed.insert(name)
            problems.append(Problem(device: name, text: "device `\(name)` should go: \(error)"))
            takeDown(name, on: &machine)
        }
    }

    private mutating func tighten<M: Machine & ~Copyable>(_ step: Step, on machine: inout M) -> Bool {
        change(step, on: &machine)
        return !tablesFailed
    }

    private mutating func change<M: Machine & ~Copyable>(_ step: Step, on machine: inout M) {
        do { try machine.perform(step) } catch {
            tablesFailed = true
            problems.append(Problem(device: nil, text: "\(error)"))
        }
    }

    /// Until the tables are as tight as planned nothing may pass.
    private mutating func closeAll<M: Machine & ~Copyable>(_ steps: [Step], on machine: inout M) {
        for case .delete(let name) in steps { delete(name, on: &machine) }
        for name in plan.devices.keys.sorted(by: { $0.rawValue < $1.rawValue }) {
            failed.insert(name)
            takeDown(name, on: &machine)
        }
    }

    private mutating func note(_ name: DeviceName, _ reason: String) {
        problems.append(Problem(device: name, text: "device `\(name)`: \(reason)"))
    }
}

extension Plan {
    var nodeDeviceName: DeviceName? { devices.first { $0.value.owner == .node }?.key }
    var nodeDevice: DevicePlan? { nodeDeviceName.flatMap { devices[$0] } }
}
