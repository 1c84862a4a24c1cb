import Datapath
import Mesh
import PosternNode
import Testing

@Suite struct ClockReadingTests {
    private let reading = ClockReading(
        utc: Timestamp(rawValue: 1_800_000_000_000), boot: BootTime(rawValue: 60_000_000_000))

    @Test(arguments: [(0, 60_000_000_000), (1, 60_001_000_000), (-1, 59_999_000_000), (90_000, 150_000_000_000)])
    func `a deadline is as far away on one clock as on the other`(milliseconds: Int, nanoseconds: UInt64) {
        let moment = reading.utc + .milliseconds(milliseconds)
        #expect(reading.bootTime(of: moment) == BootTime(rawValue: nanoseconds))
    }

    @Test(arguments: [
        ("", true), ("monotonic           0         0\nboottime            0         0\n", true),
        ("monotonic 5 0\nboottime 0 0\n", true), ("monotonic 0 0\nboottime 3600 0\n", false),
        ("boottime 0 1\n", false), ("boottime -1 0\n", false), ("boottime\n", false),
    ])
    func `a time namespace that shifts the time since boot is known`(offsets: String, unshifted: Bool) {
        #expect(isUnshifted(offsets) == unshifted)
    }

    @Test func `what was over before the machine started is over`() {
        #expect(reading.bootTime(of: reading.utc + .seconds(-61)) == BootTime(rawValue: 0))
        #expect(reading.bootTime(of: Timestamp(rawValue: .min)) == BootTime(rawValue: 0))
    }

    @Test func `the last moment there is lies in the future`() {
        #expect(reading.bootTime(of: Timestamp(rawValue: .max)) > reading.boot + .seconds(86_400 * 365))
    }

    @Test func `of two deadlines the later one stays the later one`() {
        let moments = [Int64.min, -1, 0, 1_800_000_000_000, 1_800_000_000_001, .max].map(Timestamp.init(rawValue:))
        let times = moments.map(reading.bootTime(of:))
        #expect(times == times.sorted())
    }
}
