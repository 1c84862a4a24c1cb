import Datapath
import Foundation
import Mesh
import PosternNode
import Testing
import WireGuard

/// The reconciler on the real kernel.
@Suite(.serialized, .timeLimit(.minutes(2))) struct ReconcilerTests {
    private let host: KernelHost
    private let mesh: DemoMesh
    private let plan: Plan

    /// A node with a caller, and a session that may call node `b`.
    init() throws {
        host = try KernelHost()
        var mesh = try DemoMesh()
        mesh.addAgent("one")
        try mesh.addService("mailbox", on: "a", port: 25)
        try mesh.addService("ledger", on: "b", port: 8080)
        mesh.setPolicy("permit (principal, action, resource);")
        try mesh.addSession(of: "one", on: "b")
        try mesh.addSession(of: "one", on: "c")
        let own = try mesh.addSession(of: "one", on: "a")
        self.mesh = mesh
        plan = try Self.renamed(mesh.plan(), own: own, for: host)
    }

    /// With device names that nobody else on this machine has, and a session whose place is the host's.
    private static func renamed(_ plan: Plan, own: NetworkMap.Session, for host: KernelHost) throws -> Plan {
        var result = plan
        result.devices = [:]
        for device in plan.devices.values {
            let name = device.owner == .node ? host.device : host.sessionDevice
            let owner = device.owner == .node ? DeviceOwner.node : .session(host.session)
            let configuration = try DeviceConfiguration(
                privateKey: device.configuration.privateKey, listenPort: nil, peers: device.configuration.peers)
            result.devices[name] = DevicePlan(owner: owner, configuration: configuration, identity: device.identity)
        }
        return result
    }

    @Test func `a machine is brought to the plan, and then nothing is left to do`() throws {
        let daemon = try HostDaemon(host)
        #expect(try daemon.apply(plan) == [])
        try expectStanding(daemon)
        let before = try facts()
        #expect(try daemon.apply(plan, scope: .everything) == [])
        #expect(daemon.drift == [])
        #expect(try facts() == before)
    }

    @Test func `another daemon finds everything as it is, and replaces nothing`() throws {
        #expect(try HostDaemon(host).apply(plan) == [])
        let before = try facts()
        let second = try HostDaemon(host)
        #expect(second.tables == plan.tables)
        try second.removeLeftovers(except: Set(plan.devices.keys))
        #expect(try second.apply(plan) == [])
        try expectStanding(second)
        #expect(try facts() == before)
    }

    @Test func `what somebody else changes is mended and told`() throws {
        #expect(try HostDaemon(host).apply(plan) == [])
        for drift in Drift.allCases {
            let daemon = try HostDaemon(host)
            #expect(try daemon.apply(plan) == [])
            #expect(daemon.drift == [])
            try host.inside { try drift.change(host, plan) }
            #expect(try daemon.apply(plan, scope: .everything) == [])
            try expectStanding(daemon)
            let told = daemon.drift
            #expect(told.contains { $0.contains(drift.rawValue) }, "\(drift): \(told)")
            #expect(try daemon.apply(plan, scope: .everything) == [])
            #expect(daemon.drift == told)
        }
    }

    @Test func `what is not planned goes, with everything that was attached`() throws {
        let daemon = try HostDaemon(host)
        #expect(try daemon.apply(plan) == [])
        #expect(try daemon.apply(.empty) == [])
        #expect(daemon.tables == TableSet())
        #expect(try host.backend.devices().isEmpty)
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: host.pins).sorted() == [
                "tables", "wall", "wall-around",
            ])
    }

    @Test func `who is cut off is out of the tables before any device is looked at, and nobody is let in`() throws {
        let daemon = try HostDaemon(host)
        #expect(try daemon.apply(plan) == [])
        var narrow = plan
        let lost = try #require(plan.tables.verdicts.keys.first)
        let moved = try #require(plan.tables.services.keys.first)
        narrow.tables.verdicts[lost] = nil
        narrow.tables.services[ServiceKey(slot: moved.slot, port: moved.port, transport: .udp)] =
            plan.tables.services[moved]
        narrow.devices = [:]

        try daemon.cutOff(narrow)

        var left = plan.tables
        left.verdicts[lost] = nil
        #expect(daemon.tables == left)
        #expect(try HostDaemon(host).tables == left)
        #expect(try host.backend.devices() == Set(plan.devices.keys))
        #expect(try daemon.apply(plan) == [])
        #expect(daemon.tables == plan.tables)
        try expectStanding(daemon)
    }

    @Test func `without wireguard-go nothing stands, and once it is there all does`() throws {
        let program = host.folder + "/wireguard-go"
        let backend = UserspaceBackend(directory: host.folder + "/wireguard", program: program)
        let daemon = try HostDaemon(host, backend: backend)
        let problems = try daemon.apply(plan)
        #expect(Set(problems.compactMap(\.device)) == Set(plan.devices.keys), "\(problems)")
        try must("ln -s /usr/bin/wireguard-go \(program)")
        #expect(try daemon.apply(plan) == [])
        try expectStanding(daemon)
        #expect(try daemon.apply(.empty) == [])
    }

    @Test func `where nothing can be pinned no device is up, and once it can all are`() throws {
        let daemon = try HostDaemon(host)
        try must("mount -o remount,ro \(host.folder)/bpf")
        let problems = try daemon.apply(plan)
        #expect(Set(problems.compactMap(\.device)) == Set(plan.devices.keys), "\(problems)")
        let devices =
            try host.inside { try Links().all() } + host.place.namespace.enter { Result { try Links().all() } }.get()
        #expect(devices.allSatisfy { !$0.isUp || $0.name == "lo" }, "\(devices)")
        try must("mount -o remount,rw \(host.folder)/bpf")
        #expect(try daemon.apply(plan) == [])
        try expectStanding(daemon)
    }

    @Test func `on a full disk no device is made, and those that stand stay`() throws {
        try must("mount -t tmpfs -o size=256k tmpfs \(host.folder)/wireguard")
        defer { try? must("umount -l \(host.folder)/wireguard") }
        let daemon = try HostDaemon(host)
        var alone = plan
        alone.devices = plan.devices.filter { $0.value.owner == .node }
        #expect(try daemon.apply(alone) == [])
        try must("! dd if=/dev/zero of=\(host.folder)/wireguard/filler bs=4k count=128 2>/dev/null")
        let problems = try daemon.apply(plan)
        #expect(problems.compactMap(\.device) == [host.sessionDevice], "\(problems)")
        #expect(try daemon.isGuarded(host.device))
        try must("rm \(host.folder)/wireguard/filler")
        #expect(try daemon.apply(plan) == [])
        try expectStanding(daemon)
        #expect(try daemon.apply(.empty) == [])
    }

    private func expectStanding(_ daemon: HostDaemon) throws {
        #expect(daemon.tables == plan.tables)
        for (name, device) in plan.devices {
            #expect(try daemon.isGuarded(name), "\(name)")
            let peers = daemon.state(of: name).map { Set($0.peers.keys) }
            #expect(peers == Set(device.configuration.peers.keys), "\(name)")
        }
    }

    /// What a device made anew, or a program attached anew, would change.
    private func facts() throws -> [String] {
        let inside = try host.inside { try links() }
        let session = try host.place.namespace.enter { Result { try links() } }.get()
        let records = try FileManager.default.contentsOfDirectory(atPath: host.folder + "/wireguard")
            .filter { $0.hasSuffix(".pid") }.sorted()
            .map { try String(contentsOfFile: host.folder + "/wireguard/" + $0, encoding: .utf8) }
        let pins = try FileManager.default.subpathsOfDirectory(atPath: host.pins).sorted().map { name in
            let inode = try FileManager.default.attributesOfItem(atPath: host.pins + "/" + name)[.systemFileNumber]
            return "\(name) \(inode ?? 0)"
        }
        return inside + session + records + pins
    }

    private func links() throws -> [String] {
        let links = try Links()
        return try links.all().map { "\($0)" } + links.addresses().map { "\($0)" }.sorted()
            + links.routes().map { "\($0)" }.sorted()
    }
}

/// What somebody else may do to the machine, by a word of what is told then.
private enum Drift: String, CaseIterable, Sendable {
    case unpinnedClassifier = "classifier was not first"
    case foreignProgram = "classifier was not first on device"
    case down = "was down"
    case route = "the route"
    case address = "its address"
    case foreignPeer = "not planned"
    case lostPeer = "had lost peers"
    case wall = "the wall was gone"
    case tables = "the tables were changed"
    case gone = "was gone; it has been made again"

    func change(_ host: KernelHost, _ plan: Plan) throws {
        let (node, session) = (host.device, host.sessionDevice)
        let state = try host.backend.state(of: node)
        switch self {
        case .unpinnedClassifier: try must("rm \(host.pins)/device-\(node)/ingress")
        case .foreignProgram:
            // Another classifier of ours, with pins of its own, before the first.
            let tables = try Tables(pins: host.pins + "/tables")
            let index = try #require(try Links().index(of: node))
            let identity = try #require(plan.devices[node]?.identity)
            try Classifier.attach(
                interface: UInt32(index), netns: nil, identity: identity, tables: tables,
                pins: host.folder + "/bpf/foreign")
        case .down: try Links(in: host.place.namespace).bringDown(session)
        case .route:
            let network = try #require(try Links().routes().first { $0.destination.length == 14 }?.destination)
            try Links().removeRoute(to: network, through: node)
        case .address: try host.shell("ip -4 address flush dev \(node)")
        case .foreignPeer:
            var changes = DeviceChanges()
            let stranger = PeerConfiguration(allowedIPs: try #require(state.peers.values.first?.allowedIPs))
            let configuration = try DeviceConfiguration(privateKey: key(1), peers: [key(4711).publicKey: stranger])
            changes.loosening.peers = configuration.changes(from: DeviceState()).loosening.peers
            try host.backend.apply(changes, to: node)
        case .lostPeer:
            var changes = DeviceChanges()
            changes.tightening.removedPeers = Set(state.peers.keys)
            try host.backend.apply(changes, to: node)
        case .wall: try must("rm \(host.pins)/wall/wall4")
        case .tables:
            let tables = try Tables(pins: host.pins + "/tables")
            try tables.tighten(try tables.read().changes(to: TableSet()))
        case .gone: try host.backend.delete(session)
        }
    }
}
