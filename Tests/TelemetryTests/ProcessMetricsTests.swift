import Testing

@testable import Telemetry

struct ProcessMetricsTests {
    @Test func `a command's name cannot shift the fields`() {
        let stat = "12 (a) b) ) S 1 12 12 0 -1 4194560 100 0 0 0 7 5 0 0 20 0 3 0 4242 1000000 77 184467 1 1 0 0 0 0 0"
        let usage = ProcessUsage(stat: stat)
        #expect(usage?.ticks == 12)
        #expect(usage?.startTicks == 4242)
        #expect(usage?.residentPages == 77)
    }

    @Test(arguments: ["", "1 a S 1 2 3", "1 (a) S 1 2 3", "1 (a) S x x x x x x x x x x x x x x x x x x x x x x x"])
    func `what is no such line is not believed`(stat: String) {
        #expect(ProcessUsage(stat: stat) == nil)
    }

    @Test func `this process is measured`() {
        let text = MetricFamily.text(processMetrics())
        for name in [
            "process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds",
            "process_open_fds",
        ] {
            #expect(text.contains("\n\(name) "))
        }
        #expect(bootTime("cpu 1\nbtime 1700000000\n") == 1_700_000_000)
    }
}
