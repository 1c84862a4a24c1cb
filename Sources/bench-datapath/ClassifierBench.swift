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

    func run() throws -> Outcome {
        var worst = Outcome.reached
        for target in Self.targets {
            let outcome = try measure(target)
            if outcome.rawValue > worst.rawValue { worst = outcome }
        }
        return worst
    }

    private func measure(_ target: Target) throws -> Outcome {
        let path = "\(pins)/\(target.peers)"
        let tables = try Tables(pins: path)
        defer { try? Tables.remove(pins: path) }
        try tables.fill(peers: target.peers, services: Self.services)
        guard tables.isFilled else { throw BenchError("the tables are not what they should be") }
        let rehearsal = try Rehearsal(of: rotatingObject, identity: Scene.device(), tables: tables)
        var (null, judging): ([Double], [Double]) = ([], [])
        for _ in 0..<Self.rounds {
            let parsing = try time("parsing", rehearsal, target)
            let again = try time("parsing_again", rehearsal, target)
            let rotating = try time("rotating", rehearsal, target)
            null.append(again - parsing)
            judging.append(rotating - (parsing + again) / 2)
        }
        let (noise, cost) = (Figures(null), Figures(judging))
        let isReached = cost.median <= target.nanoseconds
        let outcome: Outcome = abs(noise.median) > Self.noise ? .void : isReached ? .reached : .missed
        print(
            """
            \(target.peers) peers, \(Self.services) services: judging \(cost.description), to reach \
            \(Int(target.nanoseconds)) ns; null pair \(noise.description): \(outcome)
            """)
        return outcome
    }

    private func time(_ program: String, _ rehearsal: borrowing Rehearsal, _ target: Target) throws -> Double {
        let (answer, spent) = try rehearsal.run(
            program, frame: Scene.frame(payload: 100), mark: target.peers, times: Self.times)
        guard answer == -1 else { throw BenchError("`\(program)` drops what is allowed") }
        return Double(spent) / Double(Self.times)
    }
}

extension Tables {
    /// The clock must run: a program that asks the kernel's is another one.
    fileprivate var isFilled: Bool { (try? hasClock()) == true }
}
