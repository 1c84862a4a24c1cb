import Datapath
import Mesh

/// What judging a TCP data packet costs beyond parsing it, with another peer and another port each time.
struct ClassifierBench {
    private struct Target {
        let peers: UInt32
        let nanoseconds: Double
    }

    private static let targets = [
        Target(peers: 10_000, nanoseconds: 12), Target(peers: 100_000, nanoseconds: 30),
    ]
    private static let services: UInt32 = 100
    private static let rounds = 15
    private static let times: Int32 = 500_000
    /// What two equal programs may differ by before a run says nothing.
    private static let noise = 3.0

    let pins: String

    /// Whether every target was reached.
    func run() throws -> Bool {
        var isReached = true
        for target in Self.targets { isReached = try measure(target) && isReached }
        return isReached
    }

    private func measure(_ target: Target) throws -> Bool {
        let path = "\(pins)/\(target.peers)"
        let tables = try Tables(pins: path)
        defer { try? Tables.remove(pins: path) }
        try tables.fill(peers: target.peers, services: Self.services)
        guard let device, tables.isFilled else { throw BenchError("the tables are not what they should be") }
        let rehearsal = try Rehearsal(of: rotatingObject, identity: device, tables: tables)
        var (null, judging): ([Double], [Double]) = ([], [])
        for _ in 0..<Self.rounds {
            let parsing = try time("parsing", rehearsal, target)
            let again = try time("parsing_again", rehearsal, target)
            let rotating = try time("rotating", rehearsal, target)
            null.append(again - parsing)
            judging.append(rotating - (parsing + again) / 2)
        }
        let (noise, cost) = (Figures(null), Figures(judging))
        let isReached = cost.median <= target.nanoseconds && abs(noise.median) <= Self.noise
        print(
            """
            \(target.peers) peers, \(Self.services) services: judging \(cost.description), to reach \
            \(Int(target.nanoseconds)) ns; null pair \(noise.description): \(isReached ? "reached" : "missed")
            """)
        return isReached
    }

    private func time(_ program: String, _ rehearsal: borrowing Rehearsal, _ target: Target) throws -> Double {
        let (answer, spent) = try rehearsal.run(program, frame: frame, mark: target.peers, times: Self.times)
        guard answer == -1 else { throw BenchError("`\(program)` drops what is allowed") }
        return Double(spent) / Double(Self.times)
    }

    private var pool: AddressPool? {
        AddressPool(v4Base: IPv4Address(rawValue: 10 << 24 | 64 << 16), v6Prefix: 0xfd << 56)
    }

    private var device: DeviceIdentity? {
        guard let pool, let slot = Slot(rawValue: 1), let generation = Generation(rawValue: 1),
            let offset = MeshOffset(rawValue: 5)
        else { return nil }
        return DeviceIdentity(kind: .node, slot: slot, generation: generation, offset: offset, pool: pool)
    }

    /// From 10.64.0.16 to 10.64.0.5, port 1000, with ACK and 100 bytes.
    private var frame: [UInt8] {
        let ethernet = [UInt8](repeating: 2, count: 12) + [0x08, 0x00]
        let ip: [UInt8] = [0x45, 0, 0, 140, 0, 0, 0, 0, 64, 6, 0, 0, 10, 64, 0, 16, 10, 64, 0, 5]
        let tcp: [UInt8] = [0x9c, 0x40, 3, 232, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0]
        return ethernet + ip + tcp + [UInt8](repeating: 0, count: 100)
    }
}

extension Tables {
    /// The clock must run: a program that asks the kernel's is another one.
    fileprivate var isFilled: Bool { (try? hasClock()) == true }
}

struct BenchError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
