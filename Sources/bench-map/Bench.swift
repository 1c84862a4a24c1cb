import CoordinationAPI
import Glibc
import Mesh
import PosternCoordinator

/// What a session's start costs the coordinator in a large mesh, against a small one: it must not be the mesh that is
/// paid for. And how long the maps of all nodes take.
@main
struct Bench {
    private static let small = 100
    private static let large = 10_000
    private static let witnesses = 20
    private static let rounds = 200
    private static let repetitions = 5

    private var missed = 0

    static func main() throws {
        var bench = Bench()
        try bench.sessions()
        try bench.wholeMaps()
        exit(bench.missed == 0 ? 0 : 1)
    }

    private mutating func expect(_ holds: Bool, _ what: String) {
        print(holds ? "  ok      \(what)" : "  MISSED  \(what)")
        if !holds { missed += 1 }
    }

    private mutating func sessions() throws {
        var (baseline, twin) = (try SimulatedMesh(nodes: Self.small), try SimulatedMesh(nodes: Self.small))
        var big = try SimulatedMesh(nodes: Self.large)
        var costs: (baseline: [Cost], twin: [Cost], big: [Cost]) = ([], [], [])
        for round in 0..<Self.rounds {
            costs.baseline.append(try baseline.startSession(round))
            costs.big.append(try big.startSession(round))
            costs.twin.append(try twin.startSession(round))
        }
        print("one session starts, \(Self.rounds) times; \(Self.witnesses) nodes may see it; medians (least … most)")
        print("  \(Self.small) nodes         \(Summary(costs.baseline))")
        print("  \(Self.small) nodes again   \(Summary(costs.twin))")
        print("  \(Self.large) nodes       \(Summary(costs.big))")
        let figures: [(name: String, of: (Cost) -> Double)] = [
            ("entries visited", { Double($0.visits) }), ("messages", { Double($0.messages) }),
            ("bytes", { Double($0.bytes) }), ("CPU", { $0.seconds }),
        ]
        for figure in figures {
            let base = median(costs.baseline.map(figure.of))
            let (ratio, null) = (median(costs.big.map(figure.of)) / base, median(costs.twin.map(figure.of)) / base)
            expect(ratio <= 2, "\(figure.name): \(rounded(ratio)) times as much (null \(rounded(null))), at most 2")
        }
        let isExact = (costs.baseline + costs.big).allSatisfy { $0.messages == Self.witnesses }
        expect(isExact, "exactly \(Self.witnesses) nodes are told, each time")
    }

    private mutating func wholeMaps() throws {
        print("the whole maps of \(Self.large) nodes, \(Self.witnesses) peers each, \(SimulatedMesh.policies) policies")
        var spans: (index: [Double], maps: [Double], both: [Double]) = ([], [], [])
        var isWhole = true
        for _ in 0..<Self.repetitions {
            let mesh = try SimulatedMesh(nodes: Self.large, policies: SimulatedMesh.policies)
            var nodes = 0
            let maps = cpuSeconds { nodes = mesh.countOfNodesInAllMaps() }
            spans.index.append(mesh.indexing)
            spans.maps.append(maps)
            spans.both.append(mesh.indexing + maps)
            isWhole = isWhole && nodes == Self.large * Self.witnesses
        }
        print("  index from nothing \(spread(spans.index)) s, maps \(spread(spans.maps)) s, CPU time of one thread")
        expect(isWhole, "each map holds \(Self.witnesses) nodes")
        expect(median(spans.both) <= 2, "all maps from nothing in \(rounded(median(spans.both))) s, at most 2")
    }
}
