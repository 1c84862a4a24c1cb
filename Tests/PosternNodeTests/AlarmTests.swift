import Datapath
import Glibc
import PosternNode
import Testing

@Suite(.serialized) struct AlarmTests {
    @Test(.timeLimit(.minutes(1)))
    func `it rings at its moment, and at once when that is past`() async throws {
        for span in [Duration.milliseconds(50), .seconds(-5)] {
            let alarm = try Alarm()
            let moment = BootTime.now() + span
            alarm.set(moment)
            #expect(try await ringing(of: alarm, from: moment) < moment + .seconds(30))
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `it rings when somebody sets the clock`() async throws {
        let alarm = try Alarm()
        alarm.set(.now() + .seconds(3600))
        let before = BootTime.now()
        // What it is set to is what it is: only the setting counts.
        var time = timespec()
        try #require(unsafe clock_gettime(CLOCK_REALTIME, &time) == 0 && clock_settime(CLOCK_REALTIME, &time) == 0)
        #expect(try await ringing(of: alarm, from: before) < before + .seconds(30))
    }

    @Test(.timeLimit(.minutes(1)))
    func `what is set later counts`() async throws {
        let alarm = try Alarm()
        let moment = BootTime.now()
        alarm.set(moment + .seconds(3600))
        alarm.set(moment)
        #expect(try await ringing(of: alarm, from: moment) < moment + .seconds(30))
    }

    /// When it first rang from a moment on: who sets the clock elsewhere rings it too.
    private func ringing(of alarm: Alarm, from moment: BootTime) async throws -> BootTime {
        try await withThrowingTaskGroup(of: BootTime?.self) { group in
            let (rings, continuation) = AsyncStream.makeStream(of: BootTime.self)
            group.addTask {
                try await alarm.ringing { continuation.yield(.now()) }
                return nil
            }
            group.addTask { await rings.first { $0 >= moment } }
            let first = try await group.next() ?? nil
            group.cancelAll()
            return try #require(first)
        }
    }
}
