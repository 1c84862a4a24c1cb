import Datapath
import Foundation
import Mesh

/// What judging adds to a packet's way through a device, beside nothing there and beside a set of nftables.
///
/// Windows of one variant are as near as can be to those of the one they are compared with, in an order that turns with
/// each round. All run on one processor, whose time is counted: sending, receiving and judging are one thread's work.
struct PathBench {
    private enum Variant: CaseIterable {
        case fewNothing, few, nothing, nothingAgain, many, hook, set
    }

    private static let rounds = 15
    private static let times = 150_000
    private static let few = (peers: UInt32(10), services: UInt32(1))
    private static let many = (peers: UInt32(100), services: UInt32(100))
    private static let attempts = 5
    /// What two equal windows may differ by before a run says nothing.
    private static let noise = 30.0
    private static let mostAdded = 100.0
    private static let leastRatio = 2.5

    let pins: String

    func run() throws -> Outcome {
        let wire = try Wire(processor: pinToOneProcessor())
        let fewTables = try tables(Self.few)
        let manyTables = try tables(Self.many)
        defer {
            for name in ["few", "many"] { try? Tables.remove(pins: "\(pins)/\(name)") }
        }
        let (fewFrames, manyFrames) = (
            Frames(peers: Self.few.peers, services: Self.few.services),
            Frames(peers: Self.many.peers, services: Self.many.services)
        )
        let hook = try Rehearsal(of: rotatingObject, identity: Scene.device(), tables: manyTables)
        let set = NFTablesSet(namespace: wire.far)
        try set.fill(peers: Self.many.peers, services: Self.many.services)
        var spent: [Variant: [Double]] = [:]
        for round in 0...Self.rounds {
            let turn = round % Variant.allCases.count
            for variant in Variant.allCases[turn...] + Variant.allCases[..<turn] {
                let frames = variant == .few || variant == .fewNothing ? fewFrames : manyFrames
                let time =
                    switch variant {
                    case .fewNothing, .nothing, .nothingAgain: try window(wire, frames)
                    case .few: try judged(wire, frames, by: fewTables)
                    case .many: try judged(wire, frames, by: manyTables)
                    case .hook: try bare(wire, manyFrames, in: hook)
                    case .set: try set.whileAttached { try window(wire, frames) }
                    }
                // The first round warms up.
                if round > 0 { spent[variant, default: []].append(time) }
            }
        }
        return report(spent)
    }

    private func report(_ spent: [Variant: [Double]]) -> Outcome {
        func differences(_ one: Variant, _ other: Variant) -> Figures {
            Figures(zip(spent[one] ?? [], spent[other] ?? []).map { $0 - $1 })
        }
        let base = Figures(zip(spent[.nothing] ?? [], spent[.nothingAgain] ?? []).map { ($0 + $1) / 2 })
        let null = differences(.nothingAgain, .nothing)
        let (few, many) = (differences(.few, .fewNothing), differences(.many, .nothing))
        let (hook, set) = (differences(.hook, .nothing), differences(.set, .nothing))
        let ratio = set.median / max(many.median, 1)
        print(
            """
            a packet with nothing attached: \(base.description); null pair \(null.description)
            classifier, 10 grants: \(few.description); 10,000 grants: \(many.description), to reach +100 ns
            of it the kernel's hook, with an empty program: \(hook.description)
            nftables, a set of 10,000: \(set.description), \(Figures.text(ratio)) times the classifier, to reach 2.5
            10,000 grants less 10: \(Figures.text(many.median - few.median)) ns, to reach 30 either way
            """)
        guard abs(null.median) <= Self.noise else {
            print("void: two equal windows differ by more than 30 ns; the machine is too busy to measure on")
            return .void
        }
        let isReached =
            max(few.median, many.median) <= Self.mostAdded && ratio >= Self.leastRatio
            && abs(many.median - few.median) <= Self.noise
        print(isReached ? "reached" : "missed")
        return isReached ? .reached : .missed
    }

    // MARK: windows

    private func window(_ wire: Wire, _ frames: Frames) throws -> Double {
        // What attaching left to do is done before the time runs.
        _ = try wire.send(frames, times: 2_000)
        return try wire.send(frames, times: Self.times)
    }

    /// The kernel's hook with a program that does nothing.
    private func bare(_ wire: Wire, _ frames: Frames, in programs: borrowing Rehearsal) throws -> Double {
        let time = try programs.whileAttached("empty", interface: wire.interface(), netns: wire.netns) {
            try window(wire, frames)
        }
        wire.waitUntilBare()
        return time
    }

    private func judged(_ wire: Wire, _ frames: Frames, by tables: borrowing Tables) throws -> Double {
        let place = "\(pins)/device"
        try Classifier.attach(
            interface: wire.interface(), netns: wire.netns, identity: Scene.device(), tables: tables, pins: place)
        defer {
            try? Classifier.detach(pins: place)
            wire.waitUntilBare()
        }
        for _ in 0..<Self.attempts {
            let before = try tables.counts(at: .nodeIngress)
            let time = try window(wire, frames)
            let after = try tables.counts(at: .nodeIngress)
            if let reason = after.keys.first(where: { !$0.isAllowed }) {
                throw BenchError("the classifier drops what it should allow: \(reason)")
            }
            // On a busy machine the kernel may put off receiving until its queue is full, and lose some.
            let judged = (after[.allowed]?.packets ?? 0) - (before[.allowed]?.packets ?? 0)
            if judged >= UInt64(Self.times) / 1000 * 999 { return time }
        }
        throw BenchError("the kernel loses packets: the machine is too busy")
    }

    private func tables(_ size: (peers: UInt32, services: UInt32)) throws -> Tables {
        let tables = try Tables(pins: "\(pins)/\(size == Self.few ? "few" : "many")")
        try tables.fill(peers: size.peers, services: size.services)
        guard try tables.hasClock() else { throw BenchError("no timer tells the programs the time") }
        return tables
    }

    /// This thread is the process's first, and so has its number.
    private func pinToOneProcessor() throws -> Int {
        let process = ProcessInfo.processInfo
        let last = process.activeProcessorCount - 1
        try bench_datapath.run(["taskset", "-p", "-c", "\(last)", "\(process.processIdentifier)"])
        return last
    }
}

/// What a firewall would do: a set of pairs of source and port, asked where the classifier is asked.
struct NFTablesSet {
    let namespace: String

    func fill(peers: UInt32, services: UInt32) throws {
        var script = "add table netdev bench\n"
        script += "add set netdev bench granted { type ipv4_addr . inet_service; }\n"
        for peer in 0..<peers {
            let address = IPv4Address(rawValue: 10 << 24 | 64 << 16 | Scene.firstPeer + peer)
            let pairs = (0..<services).map { "\(address) . \(Scene.firstPort + UInt16($0))" }
            script += "add element netdev bench granted { \(pairs.joined(separator: ", ")) }\n"
        }
        try perform(script)
    }

    func whileAttached(_ body: () throws -> Double) throws -> Double {
        try perform(
            """
            add chain netdev bench judge { type filter hook ingress device \(Wire.device) priority 0; }
            add rule netdev bench judge ip saddr . tcp dport @granted accept
            add rule netdev bench judge counter drop

            """)
        defer { try? perform("delete chain netdev bench judge\n") }
        let time = try body()
        let rules = try run(["ip", "netns", "exec", namespace, "nft", "list", "chain", "netdev", "bench", "judge"])
        guard rules.contains("packets 0 bytes 0") else { throw BenchError("the set did not allow every packet") }
        return time
    }

    private func perform(_ script: String) throws {
        try run(["ip", "netns", "exec", namespace, "nft", "-f", "-"], input: script)
    }
}
