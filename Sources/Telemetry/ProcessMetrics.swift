import Foundation
import Glibc

/// What the kernel knows of this process, by the names that all Prometheus clients use. What cannot be read is left out.
package func processMetrics() -> [MetricFamily] {
    let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
    let usage = ProcessUsage(stat: text(of: "/proc/self/stat"))
    let boot = bootTime(text(of: "/proc/stat"))
    var limit = rlimit()
    let files =
        unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 ? Double(limit.rlim_cur) : nil
    return [
        MetricFamily(
            "process_cpu_seconds_total", .counter, "Processor time that the daemon took, of user and system.",
            usage.map { Double($0.ticks) / ticks }),
        MetricFamily(
            "process_resident_memory_bytes", .gauge, "Memory of the daemon.",
            usage.map { Double($0.residentPages) * Double(sysconf(Int32(_SC_PAGESIZE))) }),
        MetricFamily(
            "process_start_time_seconds", .gauge, "When the daemon started, in seconds since 1970.",
            usage.flatMap { usage in boot.map { $0 + Double(usage.startTicks) / ticks } }),
        MetricFamily(
            "process_open_fds", .gauge, "File descriptors that the daemon holds.",
            (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")).map { Double($0.count) }),
        MetricFamily("process_max_fds", .gauge, "File descriptors that the daemon may hold.", files),
    ]
}

/// Of /proc/PID/stat (proc(5)): the fields after the command's name, which may hold anything, up to its last bracket.
struct ProcessUsage: Equatable {
    let ticks: UInt64
    let startTicks: UInt64
    let residentPages: UInt64

    init?(stat: String?) {
        guard let stat, let end = stat.lastIndex(of: ")") else { return nil }
        let fields = stat[stat.index(after: end)...].split(whereSeparator: \.isWhitespace).map { UInt64($0) }
        // The first of these is the third of the file: 14 and 15 are times, 22 is the start, 24 the pages.
        guard fields.count > 21, let user = fields[11], let system = fields[12], let start = fields[19],
            let pages = fields[21]
        else { return nil }
        (ticks, startTicks, residentPages) = (user + system, start, pages)
    }
}

/// Seconds since 1970, of `btime` in /proc/stat.
func bootTime(_ stat: String?) -> Double? {
    stat?.split(separator: "\n").first { $0.hasPrefix("btime ") }.flatMap { Double($0.dropFirst(6)) }
}

private func text(of path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }
