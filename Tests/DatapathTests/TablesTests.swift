import CBpf
import Glibc
import Mesh
import Testing

@testable import Datapath

@Suite struct TablesTests {
    @Test func `what was written is read back`() throws {
        let mount = try PinMount()
        let tables = try Tables(pins: mount.path + "/tables")
        #expect(try tables.read() == TableSet())
        try tables.loosen(TableSet().changes(to: Who.tables))
        #expect(try tables.read() == Who.tables)
        var random = Seeded(state: 3)
        var current = Who.tables
        for _ in 0..<10 {
            let next = random.tableSet()
            let changes = current.changes(to: next)
            try tables.tighten(changes)
            try tables.loosen(changes)
            #expect(try tables.read() == next)
            current = next
        }
    }

    @Test func `tables of many entries are read whole, whatever copy holds`() throws {
        let mount = try PinMount()
        let tables = try Tables(pins: mount.path + "/tables")
        var set = TableSet()
        for number in 0..<1500 as Range<UInt32> {
            let address = IPv4Address(rawValue: 172 << 24 | number << 8)
            set.routes[try #require(RoutedPrefix(.v4(address), length: 24))] = Who.entry(Who.agentSlot)
            let slot = try #require(Slot(rawValue: 100 + number))
            let key = VerdictKey(slot: slot, serviceClass: try #require(ServiceClass(rawValue: 1 + number % 1000)))
            set.rows[slot] = Generation(rawValue: 1)
            set.timed[key] = TimedGrant(
                until: BootTime(rawValue: UInt64(number) << 40), verdict: .allow, policy: number)
        }
        try tables.loosen(TableSet().changes(to: set))
        #expect(try tables.read(.first) == set)
        #expect(try tables.read(.second) == set)
        #expect(try Tables(pins: mount.path + "/tables").read() == set)
    }

    @Test func `tables outlive who made them`() throws {
        let mount = try PinMount()
        do {
            let tables = try Tables(pins: mount.path + "/tables")
            try tables.loosen(TableSet().changes(to: Who.tables))
        }
        let adopted = try Tables(pins: mount.path + "/tables")
        #expect(try adopted.read() == Who.tables)
        try Tables.remove(pins: mount.path + "/tables")
        #expect(try Tables(pins: mount.path + "/tables").read() == TableSet())
    }

    @Test func `a directory that is not on a bpffs is refused and not made`() throws {
        let path = "/tmp/postern-datapath-\(getpid())-none"
        let error = #expect(throws: DatapathError.self) { _ = try Tables(pins: path) }
        #expect(error?.description == "cannot use `\(path)` for pins: `/tmp` is not on a BPF file system (bpffs)")
        #expect(unsafe access(path, F_OK) != 0)
    }

    @Test func `a directory that others may enter is refused`() throws {
        let mount = try PinMount()
        try must("mkdir -m 755 \(mount.path)/tables")
        let error = #expect(throws: DatapathError.self) { _ = try Tables(pins: mount.path + "/tables") }
        #expect(error?.cause == "it is not a directory of ours with mode 0700")
    }

    @Test(arguments: [
        MapShape(name: "pt4_state", type: .init(rawValue: 2), keySize: 4, valueSize: 16, entries: 1),
        MapShape(name: "pt3_state", type: .init(rawValue: 2), keySize: 4, valueSize: 8, entries: 1),
        MapShape(name: "pt4_state", type: .init(rawValue: 2), keySize: 4, valueSize: 8, entries: 2),
    ])
    func `a table of another layout is refused`(shape: MapShape) throws {
        let mount = try PinMount()
        let pins = try PinDirectory(mount.path + "/tables")
        try pins.pin(try shape.create().descriptor, as: "state")
        let error = #expect(throws: DatapathError.self) { _ = try Tables(pins: mount.path + "/tables") }
        #expect(error?.cause == "it was made by another version; take the mesh down, then remove it")
    }

    @Test func `an entry that we never write is not adopted`() throws {
        let mount = try PinMount()
        let tables = try Tables(pins: mount.path + "/tables")
        let pages = RowPages(tables, try tables.currentState().live)
        try pages.set(3, at: Who.cell(Who.agentSlot, 40))
        try pages.flush()
        #expect(throws: DatapathError.self) { _ = try tables.read() }
    }

    @Test func `events name the packet and its reason, and are limited for each sender`() throws {
        let world = try World()
        var events = try EventStream(world.tables)
        let denied = Frame.tcp(.v6, from: Who.agent, 40_000, to: Who.node, Who.admin, flags: Frame.syn)
        for _ in 0..<500 { _ = try world.judge(denied, at: Who.nodeDevice, .ingress) }
        let opening = Frame.tcp(.v4, from: Who.agent, 40_000, to: Who.node, Who.web, flags: Frame.syn)
        _ = try world.judge(opening, at: Who.nodeDevice, .ingress)
        let told = try events.drain()
        #expect(told.count < 500 && told.count > 60)
        let (first, last) = (try #require(told.first), try #require(told.last))
        #expect(first.kind == .denied && first.reason == .noGrant && first.place == .nodeIngress)
        #expect(first.source == .v6(pool.ipv6(at: Who.agent)) && first.destination == .v6(pool.ipv6(at: Who.node)))
        #expect(first.sourcePort?.rawValue == 40_000 && first.destinationPort?.rawValue == Who.admin)
        #expect(first.ownSlot == Who.nodeSlot && first.remoteSlot == Who.agentSlot && first.initiator == Who.agentSlot)
        #expect(last.kind == .opened && last.reason == .allowed && last.source == .v4(pool.ipv4(at: Who.agent)))
        #expect(try events.drain().isEmpty)
    }

    @Test func `multicast is counted without an event, and a foreign source with one`() throws {
        let world = try World()
        var events = try EventStream(world.tables)
        let report = Frame.v6(
            IPv6Address(high: 0xfe80 << 48, low: 1), IPv6Address(high: 0xff02 << 48, low: 0x16), 58,
            [143, 0, 0, 0, 0, 0, 0, 0])
        #expect(try world.judge(report, at: Who.agentDevice, .egress) == .notOwnAddress)
        #expect(try events.drain().isEmpty)
        let forged = Frame.tcp(.v4, from: Who.stranger, 40_000, to: Who.node, Who.web, flags: Frame.syn)
        #expect(try world.judge(forged, at: Who.agentDevice, .egress) == .notOwnAddress)
        let event = try #require(try events.wait(atMost: .seconds(1)).first)
        #expect(event.reason == .notOwnAddress && event.source == .v4(pool.ipv4(at: Who.stranger)))
    }
}
