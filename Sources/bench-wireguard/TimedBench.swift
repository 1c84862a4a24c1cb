import WireGuard

/// Times, with wireguard-go: each writer in turn on a device of its own, the first one changing from round to round.
struct TimedBench {
    private static let rounds = 9

    private let backend: UserspaceBackend
    private let peers: SimulatedPeers

    init(devices directory: String) throws {
        backend = UserspaceBackend(directory: directory)
        peers = try SimulatedPeers(in: directory)
    }

    private struct Times {
        var many: [Double] = []
        var one: [Double] = []
    }

    func run() throws -> Bool {
        var times: [Writer: Times] = [:]
        for round in 0..<Self.rounds {
            let writers = Writer.allCases
            for turn in writers.indices {
                let writer = writers[(round + turn) % writers.count]
                try measure(writer, &times[writer, default: Times()])
            }
        }
        print("wireguard-go, \(Self.rounds) rounds, milliseconds: median (quartiles)")
        let many = report("\(SimulatedPeers.count) peers, against `wg setconf`", times.mapValues(\.many))
        return report("one more, against `wg addconf`", times.mapValues(\.one)) && many
    }

    private func measure(_ writer: Writer, _ times: inout Times) throws {
        guard let device = DeviceName("ptbench") else { throw BenchError("this is no name") }
        try backend.create(device, mtu: 1420)
        defer { try? backend.delete(device) }
        times.many.append(try milliseconds { try writer.writeMany(peers, to: device, of: backend) })
        let single = try peers.more.map { one in
            try milliseconds { try writer.writeOne(one, to: device, of: backend) }
        }
        times.one.append(Figures(single).median)
        guard try backend.knows(peers, further: peers.more.count, device) else {
            throw BenchError("the device knows other peers than it should")
        }
    }

    private func milliseconds(_ work: () throws -> Void) throws -> Double {
        let spent = try ContinuousClock().measure(work)
        return Double(spent.components.seconds) * 1e3 + Double(spent.components.attoseconds) / 1e15
    }

    /// Slower is what two runs of `wg` do not differ by.
    private func report(_ title: String, _ times: [Writer: [Double]]) -> Bool {
        guard let ours = times[.ours], let wg = times[.wg], let again = times[.wgAgain] else { return false }
        let (ratio, null) = (Figures(zip(ours, wg).map { $0 / $1 }), Figures(zip(again, wg).map { $0 / $1 }))
        let isReached = ratio.median <= max(1, null.upperQuartile)
        print(
            """
              \(title)
                ours \(Figures(ours)), wg \(Figures(wg)), wg again \(Figures(again))
                ours : wg \(ratio), wg again : wg \(null); not slower: \(isReached ? "reached" : "MISSED")
            """)
        return isReached
    }
}
