import Datapath
import Mesh
import PosternNode
import Testing

@Suite struct SignedClockTests {
    private let noon = Timestamp(rawValue: 1_800_000_000_000)
    private let start = BootTime(rawValue: 100_000_000_000)
    private func after(_ seconds: Int) -> BootTime { start + .seconds(seconds) }

    private func clock(wall seconds: Int = 0, highest: Timestamp? = nil) -> SignedClock {
        SignedClock(highest: highest ?? noon, wall: noon + .seconds(seconds), boot: start)
    }

    @Test func `after a start the machine's clock is taken, but never before what was signed`() {
        #expect(clock(wall: 500).utc(at: start) == noon + .seconds(500))
        #expect(clock(wall: -500).utc(at: after(10)) == noon + .seconds(10))
        #expect(!clock(wall: 500).isSigned)
    }

    @Test func `what the coordinator says counts from the question, so deadlines come early by the way it took`() throws
    {
        var clock = clock(wall: 90_000)
        try clock.hear(noon + .seconds(5), asked: after(3), received: after(8))
        #expect(clock.isSigned)
        #expect(clock.utc(at: after(8)) == noon + .seconds(10))
    }

    @Test func `an answer that was held back makes nothing later`() throws {
        var clock = clock()
        try clock.hear(noon, asked: after(0), received: after(0))
        // Said at noon + 10 s, held back for 50 s.
        try clock.hear(noon + .seconds(10), asked: nil, received: after(60))
        #expect(clock.utc(at: after(60)) == noon + .seconds(60))
    }

    @Test func `what comes unasked moves the clock forward, a second too far`() throws {
        var clock = clock()
        try clock.hear(noon, asked: after(0), received: after(0))
        try clock.hear(noon + .seconds(100), asked: nil, received: after(20))
        #expect(clock.utc(at: after(20)) == noon + .seconds(101))
    }

    @Test func `small corrections leave every deadline where it is`() throws {
        var clock = clock()
        try clock.hear(noon, asked: after(0), received: after(1))
        let reading = clock.reading
        for second in stride(from: 10, through: 3600, by: 10) {
            try clock.hear(
                noon + .seconds(second), asked: second % 60 == 0 ? after(second) : nil, received: after(second))
        }
        #expect(clock.reading == reading)
    }

    @Test func `a coordinator whose clock went back is not believed`() throws {
        var clock = clock()
        try clock.hear(noon + .seconds(3600), asked: after(0), received: after(0))
        let before = clock
        #expect(throws: NodeError.self) {
            try clock.hear(noon + .seconds(3539), asked: after(1), received: after(1))
        }
        #expect(clock == before)
        try clock.hear(noon + .seconds(3541), asked: after(1), received: after(1))
        #expect(clock.highest == noon + .seconds(3600))
    }

    @Test func `a clock set back or forward on the wall changes nothing once the coordinator has spoken`() throws {
        var clock = clock()
        try clock.hear(noon, asked: after(0), received: after(0))
        let before = clock
        clock.look(wall: noon + .seconds(7200), boot: after(5))
        clock.look(wall: noon + .seconds(-7200), boot: after(5))
        #expect(clock == before)
    }

    @Test func `before the coordinator has spoken the wall's clock moves time forward only`() {
        var clock = clock()
        clock.look(wall: noon + .seconds(7200), boot: after(5))
        #expect(clock.utc(at: after(5)) == noon + .seconds(7200))
        clock.look(wall: noon + .seconds(-7200), boot: after(6))
        #expect(clock.utc(at: after(6)) == noon + .seconds(7201))
    }

    @Test func `sleep counts: time since boot goes on, and so do the deadlines`() throws {
        var clock = clock()
        try clock.hear(noon, asked: after(0), received: after(0))
        let lease = clock.reading.bootTime(of: noon + .seconds(900))
        #expect(lease < after(4 * 3600))
        #expect(clock.utc(at: after(4 * 3600)) == noon + .seconds(4 * 3600))
    }

    @Test(arguments: [(0, true), (59, true), (-59, true), (61, false), (-61, false), (7200, false), (-7200, false)])
    func `a machine whose clock is a minute off knows no time`(seconds: Int, trusted: Bool) throws {
        var clock = clock()
        try clock.hear(noon, asked: after(0), received: after(0))
        let trust = clock.trust(wall: noon + .seconds(100 + seconds), boot: after(100))
        #expect(trust.isTrusted == trusted)
        #expect((trust.problem == nil) == trusted)
    }

    @Test func `a machine that has not heard the coordinator knows no time`() {
        #expect(clock().trust(wall: noon, boot: start) == .unknown)
    }

    @Test func `a restart of the daemon goes on with what was signed, and one of the machine does not`() throws {
        var clock = clock()
        try clock.hear(noon + .seconds(50), asked: after(50), received: after(51))
        let seen = Seen(position: nil, clock: clock, bootID: "first")
        let same = SignedClock(seen, bootID: "first", wall: noon + .seconds(-9000), boot: after(70))
        #expect(same.isSigned)
        #expect(same.utc(at: after(70)) == noon + .seconds(70))
        let other = SignedClock(seen, bootID: "second", wall: noon + .seconds(-9000), boot: after(70))
        #expect(!other.isSigned)
        #expect(other.utc(at: after(70)) == noon + .seconds(50))
    }

    @Test func `an unsigned guess stays a guess across a restart`() {
        let seen = Seen(position: nil, clock: clock(), bootID: "first")
        #expect(!SignedClock(seen, bootID: "first", wall: noon, boot: after(70)).isSigned)
    }
}
