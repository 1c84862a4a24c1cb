import CPosternABI
import Glibc
import Mesh
import Testing

@testable import Datapath

@Suite struct ClockTests {
    @Test func `a timer tells the time, and goes on when nobody has the tables open`() throws {
        let mount = try PinMount()
        let before = BootTime.now()
        do { #expect(try Tables(pins: mount.path + "/tables").hasClock()) }
        #expect(
            try eventually {
                let tables = try Tables(pins: mount.path + "/tables")
                return try read(tables) > before + .milliseconds(50)
            })
    }

    @Test func `the time is right to 20 ms at least`() throws {
        let mount = try PinMount()
        let tables = try Tables(pins: mount.path + "/tables")
        for _ in 0..<200 {
            let told = try read(tables)
            #expect(told <= BootTime.now())
            usleep(500)
        }
        #expect(Ticker.patience >= 1 && Ticker.patience < 20)
    }

    @Test func `a lease ends also where the timer has stopped`() throws {
        let world = try World()
        try PinDirectory(existing: world.mount.path + "/tables").remove(Ticker.pin)
        #expect(try eventually { try BootTime.now() - read(world.tables) > .milliseconds(100) })
        let stopped = try read(world.tables)
        var set = Who.tables
        set.peers[Who.agent] = Who.entry(Who.agentSlot, until: stopped + .milliseconds(20))
        try world.tables.tighten(Who.tables.changes(to: set))
        let data = Frame.tcp(.v6, from: Who.agent, 40_000, to: Who.node, Who.web, flags: Frame.ack)
        #expect(try world.judge(data, at: Who.nodeDevice, .ingress) == .leaseExpired)
        #expect(try !world.tables.hasClock() || BootTime.now() - stopped < .seconds(1))
    }

    @Test func `a stopped timer is started again by the next who opens the tables`() throws {
        let mount = try PinMount()
        let tables = try Tables(pins: mount.path + "/tables")
        try PinDirectory(existing: mount.path + "/tables").remove(Ticker.pin)
        #expect(try eventually { try !tables.hasClock() })
        let stopped = try read(tables)
        #expect(try Tables(pins: mount.path + "/tables").hasClock())
        #expect(try eventually { try read(tables) > stopped + .milliseconds(50) })
    }

    @Test func `no lease passes more than 20 ms after its end`() throws {
        var set = Who.tables
        let world = try World(set)
        let data = Frame.tcp(.v4, from: Who.agent, 40_000, to: Who.node, Who.web, flags: Frame.ack)
        for _ in 0..<20 {
            let lease = BootTime.now() + .milliseconds(40 * patience)
            var next = set
            next.peers[Who.agent] = Who.entry(Who.agentSlot, until: lease)
            let changes = set.changes(to: next)
            try world.tables.tighten(changes)
            try world.tables.loosen(changes)
            set = next
            var reason = Reason.allowed
            while BootTime.now() < lease + .milliseconds(20 + 40 * patience) {
                let before = BootTime.now()
                reason = try world.judge(data, at: Who.nodeDevice, .ingress)
                // An emulated machine may go without a tick for longer, and all its clocks with it.
                if reason == .allowed, patience == 1 { #expect(before < lease + .milliseconds(20)) }
            }
            #expect(
                try eventually { try world.judge(data, at: Who.nodeDevice, .ingress) == .leaseExpired },
                "\(reason)")
        }
    }

    private func read(_ tables: borrowing Tables) throws -> BootTime {
        BootTime(rawValue: try tables.clock.value(at: UInt32(0), into: pt_clock()).boot_ns)
    }
}
