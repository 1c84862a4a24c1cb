import Datapath
import Mesh
import PosternNode
import Testing
import WireGuard

/// Between any two steps, and with any step refused, the machine allows what it allowed or what is planned.
@Suite struct PlanStepsTests {
    @Test(arguments: seeds)
    func `killed anywhere, nothing passes that neither plan allows, and the next run finishes`(seed: UInt64) throws {
        for number in 0..<2 {
            var world = try SmallWorld(seed: seed * 1000 + UInt64(number))
            let (state, plan) = (try world.state(), try world.plan())
            let steps = PlanSteps(from: state.looking(at: plan), to: plan).steps
            let limit = try Limit(state, plan, world)
            for count in 0...steps.count {
                var machine = ModelMachine(state, pool: world.pool)
                machine.changed = { limit.check($0, "\(steps.prefix(count).last.map { "\($0)" } ?? "")") }
                for step in steps.prefix(count) { try machine.perform(step) }
                limit.check(machine.state, "after \(count) steps")
                machine.changed = { limit.check($0, "after a restart") }
                for step in PlanSteps(from: machine.state.looking(at: plan), to: plan).steps {
                    try machine.perform(step)
                }
                #expect(PlanSteps(from: machine.state.looking(at: plan), to: plan).steps == [])
                #expect(machine.state.isAsPlanned(plan))
            }
        }
    }

    @Test(arguments: seeds)
    func `whichever step is refused, nothing passes that neither plan allows, and later all is done`(
        seed: UInt64
    ) throws {
        var world = try SmallWorld(seed: seed * 2000)
        let (state, plan) = (try world.state(), try world.plan())
        for refused in PlanSteps(from: state.looking(at: plan), to: plan).steps {
            for isStubborn in [false, true] {
                try expectClosed(world, from: state, to: plan, when: "\(refused) is refused", isStubborn: isStubborn) {
                    $0 == refused || isStubborn && $0 == .takeDown($0.device ?? .loopback)
                }
            }
        }
    }

    /// What takes no step of a kind: a file system for pins, the tables, the interface to the network.
    enum Part: CaseIterable {
        case pins, tables, network, wireguard

        func takes(_ step: Step) -> Bool {
            switch step {
            case .attach, .verify, .hook, .raiseWall, .admit: self == .pins
            case .tighten, .loosen: self == .tables
            case .create, .delete, .move, .quiet, .address, .up, .route, .takeDown: self == .network
            case .narrow, .extend, .readBack: self == .wireguard
            }
        }
    }

    @Test(arguments: seeds, Part.allCases)
    func `whichever part of the machine refuses all, nothing passes that neither plan allows`(
        seed: UInt64, part: Part
    ) throws {
        var world = try SmallWorld(seed: seed * 2500)
        let (state, plan) = (try world.state(), try world.plan())
        guard PlanSteps(from: state.looking(at: plan), to: plan).steps.contains(where: part.takes) else { return }
        try expectClosed(
            world, from: state, to: plan, when: "\(part) refuses", isStubborn: part == .network, refusing: part.takes)
    }

    private func expectClosed(
        _ world: SmallWorld, from state: MachineState, to plan: Plan, when: String, isStubborn: Bool,
        refusing: @escaping (Step) -> Bool
    ) throws {
        let limit = try Limit(state, plan, world)
        var machine = ModelMachine(state, pool: world.pool)
        machine.refuses = refusing
        machine.changed = { limit.check($0, when) }
        var execution = Execution(of: plan)
        execution.run(PlanSteps(from: state.looking(at: plan), to: plan).steps, on: &machine)
        limit.check(machine.state, "\(when), at the end")
        #expect(!execution.problems.isEmpty, "\(when)")
        for name in execution.failed where plan.devices[name] != nil && !isStubborn {
            #expect(machine.state.devices[name]?.isUp != true, "\(name), \(when)")
        }
        machine.refuses = { _ in false }
        var again = Execution(of: plan)
        again.run(PlanSteps(from: machine.state.looking(at: plan), to: plan).steps, on: &machine)
        #expect(again.problems.isEmpty && machine.state.isAsPlanned(plan), "\(when)")
    }

    @Test(arguments: seeds)
    func `no device comes up without a verified classifier, and tables open last`(seed: UInt64) throws {
        for number in 0..<5 {
            var world = try SmallWorld(seed: seed * 3000 + UInt64(number))
            let (state, plan) = (try world.state(), try world.plan())
            let steps = PlanSteps(from: state.looking(at: plan), to: plan).steps
            var machine = ModelMachine(state, pool: world.pool)
            for (place, step) in steps.enumerated() {
                if case .up(let name) = step {
                    let identity = try #require(plan.devices[name]?.identity)
                    #expect(machine.state.devices[name]?.guarding == .classifier(identity))
                }
                if case .loosen = step { #expect(place == steps.count - 1) }
                if case .attach = step {
                    #expect(steps[place + 1] == .verify(try #require(step.device)))
                }
                try machine.perform(step)
            }
        }
    }

    @Test func `an address moves to another key while the tables hold nobody there`() throws {
        var mesh = try DemoMesh()
        mesh.addAgent("one")
        try mesh.addService("mailbox", on: "a", port: 25)
        mesh.setPolicy("permit (principal, action, resource);")
        let old = try mesh.addSession(of: "one", on: "b")
        var planner = Planner(node: mesh.node)
        let before = try mesh.plan(with: &planner)
        mesh.removeSession(old.id)
        let new = try mesh.addSession(of: "one", on: "c")
        mesh.map.sessions[new.id]?.offset = old.offset
        let after = try mesh.plan(with: &planner)
        var machine = ModelMachine(MachineState(), pool: mesh.map.pool)
        for step in PlanSteps(from: machine.state.looking(at: before), to: before).steps { try machine.perform(step) }
        var order: [String] = []
        for step in PlanSteps(from: machine.state.looking(at: after), to: after).steps {
            switch step {
            case .tighten(let changes): order.append(changes.tighten.contains(.peer(old.offset, nil)) ? "zero" : "?")
            case .narrow(_, let changes): order.append(changes.removedPeers.contains(old.key) ? "take" : "?")
            case .extend(_, let changes): order.append(changes.peers.keys.contains(new.key) ? "give" : "?")
            case .readBack: order.append("read back")
            case .loosen: order.append("open")
            default: order.append("\(step)")
            }
        }
        #expect(order == ["zero", "take", "give", "read back", "open"])
    }

    @Test func `a key that rotates cuts nothing in the tables`() throws {
        var mesh = try DemoMesh()
        mesh.addAgent("one")
        try mesh.addService("mailbox", on: "a", port: 25)
        mesh.setPolicy("permit (principal, action, resource);")
        let session = try mesh.addSession(of: "one", on: "b")
        var planner = Planner(node: mesh.node)
        let before = try mesh.plan(with: &planner)
        mesh.map.sessions[session.id]?.key = try key(777).publicKey
        let after = try mesh.plan(with: &planner)
        #expect(before.tables == after.tables)
        var machine = ModelMachine(MachineState(), pool: mesh.map.pool)
        for step in PlanSteps(from: machine.state.looking(at: before), to: before).steps { try machine.perform(step) }
        let steps = PlanSteps(from: machine.state.looking(at: after), to: after).steps
        #expect(steps.count == 3)
        for step in steps { try machine.perform(step) }
        #expect(machine.state.isAsPlanned(after))
    }
}

/// Removing peers costs the kernel a wait for each.
@Suite struct PostponedRemovalTests {
    private let before: Plan
    private let after: Plan
    private var machine: ModelMachine
    private let offsets: [MeshOffset]

    /// A node whose 200 callers end at once, of which one address is given to another peer.
    init() throws {
        var mesh = try DemoMesh()
        mesh.addAgent("one")
        try mesh.addService("mailbox", on: "a", port: 25)
        mesh.setPolicy("permit (principal, action, resource);")
        let sessions = try (0..<200).map { _ in try mesh.addSession(of: "one", on: "b") }
        var planner = Planner(node: mesh.node)
        before = try mesh.plan(with: &planner)
        for session in sessions { mesh.removeSession(session.id) }
        let new = try mesh.addSession(of: "one", on: "c")
        mesh.map.sessions[new.id]?.offset = try #require(sessions.last?.offset)
        after = try mesh.plan(with: &planner)
        offsets = sessions.map(\.offset)
        machine = ModelMachine(MachineState(), pool: mesh.map.pool)
        for step in PlanSteps(from: machine.state.looking(at: before), to: before).steps { try machine.perform(step) }
    }

    @Test mutating func `access ends at once, and WireGuard forgets in rounds`() throws {
        var rounds: [Int] = []
        while true {
            let round = PlanSteps(from: machine.state.looking(at: after), to: after)
            if round.steps.isEmpty { break }
            for step in round.steps { try machine.perform(step) }
            #expect(offsets.dropLast().allSatisfy { machine.state.tables.peers[$0] == nil })
            rounds.append(round.postponed)
        }
        // The node of the callers goes with them.
        #expect(rounds == [137, 73, 9, 0])
        #expect(machine.state.isAsPlanned(after))
    }

    @Test mutating func `an address that is given again is taken from its old key at once`() throws {
        for step in PlanSteps(from: machine.state.looking(at: after), to: after).steps { try machine.perform(step) }
        let last = try #require(offsets.last)
        let pool = try #require(after.devices[DemoMesh.device]?.identity.pool)
        let holders = machine.state.devices[DemoMesh.device]?.wireguard.peers.filter {
            $0.value.allowedIPs.contains(.host(pool.ipv4(at: last)))
        }
        let wanted = after.devices[DemoMesh.device]?.configuration.peers.filter {
            $0.value.allowedIPs.contains(.host(pool.ipv4(at: last)))
        }
        #expect(holders?.count == 1)
        #expect(holders.map { Set($0.keys) } == wanted.map { Set($0.keys) })
    }
}

/// What may pass while a machine goes from one state to a plan: what passed before, and what will.
private struct Limit {
    private let allowed: [Set<Flow>]
    private let world: SmallWorld

    init(_ state: MachineState, _ plan: Plan, _ world: SmallWorld) throws {
        self.world = world
        var target = ModelMachine(MachineState(), pool: world.pool)
        for step in PlanSteps(from: target.state.looking(at: plan), to: plan).steps { try target.perform(step) }
        allowed = SmallWorld.instants.map {
            state.flows(in: world, at: $0).union(target.state.flows(in: world, at: $0))
        }
    }

    func check(_ state: MachineState, _ moment: String) {
        for (instant, allowed) in zip(SmallWorld.instants, allowed) {
            // Where nobody judged, whoever it is taken for could pass before.
            let more = state.flows(in: world, at: instant).filter {
                !allowed.contains($0) && !allowed.contains($0.unjudged)
            }
            #expect(more.isEmpty, "\(moment)")
        }
    }
}

extension MachineState {
    fileprivate func isAsPlanned(_ plan: Plan) -> Bool {
        tables == plan.tables && Set(devices.keys) == Set(plan.devices.keys)
            && plan.devices.allSatisfy { name, planned in
                guard let device = devices[name] else { return false }
                return device.isUp && device.guarding == .classifier(planned.identity)
                    && planned.configuration.changes(from: device.wireguard).isEmpty && device.addresses.count >= 2
            }
    }
}
