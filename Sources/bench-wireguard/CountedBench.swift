import Foundation
import WireGuard

/// Netlink messages and bytes, with WireGuard in the kernel: all that a namespace exchanges with the kernel, answers too,
/// as a device of the kind `nlmon` counts it.
struct CountedBench {
    private let backend: KernelBackend
    private let peers: SimulatedPeers

    init(devices directory: String) throws {
        backend = KernelBackend(directory: directory)
        peers = try SimulatedPeers(in: directory)
        try bench_wireguard.run("ip", "link", "add", Self.monitor, "type", "nlmon")
        try bench_wireguard.run("ip", "link", "set", Self.monitor, "up")
    }

    private static let monitor = "ptmonitor"

    func run() throws -> Bool {
        var counts: [Writer: (many: Traffic, one: Traffic)] = [:]
        for writer in Writer.allCases { counts[writer] = try measure(writer) }
        print("WireGuard in the kernel; netlink both ways")
        let many = report("\(SimulatedPeers.count) peers, against `wg setconf`", counts.mapValues(\.many))
        return report("one more, against `wg addconf`", counts.mapValues(\.one)) && many
    }

    private func measure(_ writer: Writer) throws -> (many: Traffic, one: Traffic) {
        guard let device = DeviceName("ptbench") else { throw BenchError("this is no name") }
        try backend.create(device, mtu: 1420)
        defer { try? backend.delete(device) }
        let many = try traffic { try writer.writeMany(peers, to: device, of: backend) }
        guard let another = peers.more.first else { throw BenchError("there is no further peer") }
        let one = try traffic { try writer.writeOne(another, to: device, of: backend) }
        guard try backend.knows(peers, further: 1, device) else {
            throw BenchError("the device knows other peers than it should")
        }
        return (many, one)
    }

    private func traffic(_ work: () throws -> Void) throws -> Traffic {
        let before = try Traffic(of: Self.monitor)
        try work()
        return try Traffic(of: Self.monitor) - before
    }

    private func report(_ title: String, _ counts: [Writer: Traffic]) -> Bool {
        guard let ours = counts[.ours], let wg = counts[.wg], let again = counts[.wgAgain] else { return false }
        let isReached = ours.messages <= wg.messages && ours.bytes <= wg.bytes
        print(
            """
              \(title)
                ours \(ours), wg \(wg), wg again \(again)
                no more messages and bytes: \(isReached ? "reached" : "MISSED")
            """)
        return isReached
    }
}

/// What a monitor has seen.
struct Traffic: CustomStringConvertible {
    let messages: Int
    let bytes: Int

    /// From the calling thread's namespace: `NAME: bytes packets …`
    init(of monitor: String) throws {
        let lines = try String(contentsOfFile: "/proc/thread-self/net/dev", encoding: .utf8).split(separator: "\n")
        guard let line = lines.first(where: { $0.contains("\(monitor):") }),
            let fields = line.split(separator: ":").last?.split(separator: " "), fields.count > 1,
            let bytes = Int(fields[0]), let messages = Int(fields[1])
        else { throw BenchError("there is no device `\(monitor)`") }
        (self.messages, self.bytes) = (messages, bytes)
    }

    private init(messages: Int, bytes: Int) { (self.messages, self.bytes) = (messages, bytes) }

    static func - (left: Self, right: Self) -> Self {
        Traffic(messages: left.messages - right.messages, bytes: left.bytes - right.bytes)
    }

    var description: String { "\(messages) messages of \(bytes) bytes" }
}
