import Cedar
import Foundation

/// What decisions cost over 100 to 10,000 policies, against the reference on the same texts and requests.
///
///     bench-policy write FOLDER      writes what the reference is to measure
///     bench-policy measure FOLDER    measures, beside what the reference has left there
///
/// It exits with 1 when a figure is missed, or the two answer a request differently.
@main
struct Bench {
    private var missed = 0

    static func main() {
        do {
            let arguments = CommandLine.arguments.dropFirst()
            guard arguments.count == 2, let verb = arguments.first, let path = arguments.last else { throw usage }
            let folder = URL(fileURLWithPath: path)
            var bench = Bench()
            switch verb {
            case "write": for scale in Scale.all { try scale.write(to: folder) }
            case "measure": try bench.measure(folder)
            default: throw usage
            }
            exit(bench.missed == 0 ? 0 : 1)
        } catch {
            FileHandle.standardError.write(Data("bench-policy: \(error)\n".utf8))
            exit(2)
        }
    }

    private static let usage = BenchError("usage: bench-policy write|measure FOLDER")

    private mutating func measure(_ folder: URL) throws {
        print("medians, and the middle half in brackets; a pair without any difference beside each is what noise is")
        for scale in Scale.all {
            let (reference, subject) = (try Reference(of: scale, in: folder), try Subject(scale))
            print("\n\(scale.title)")
            try compareAnswers(subject, reference)
            try decisions(subject, reference)
            if scale.policies == 1_000 { try preparation(subject, reference) }
            if scale.policies == 10_000 { try changes(subject, reference) }
        }
        try memory()
    }

    private mutating func expect(_ holds: Bool, _ what: String) {
        print("    \(holds ? "ok    " : "MISSED") \(what)")
        if !holds { missed += 1 }
    }

    /// Prints our times, those of the reference, and those of ours again; the first are held to the figure, if there is one.
    private mutating func compare(
        _ what: String, _ ours: Samples, _ again: Samples, _ reference: Samples, atMost: Double?, p99: Double? = nil
    ) {
        let ratio = String(format: "%.0f", reference.median / ours.median)
        print("  \(what)\n    ours \(ours.description), again \(again.description)")
        print("    reference \(reference.description): \(ratio) times ours")
        if let atMost { expect(ours.median <= atMost, "at most \(Samples.text(atMost))") }
        guard let p99 else { return }
        expect(
            ours.percentile(0.99) <= p99, "99 of 100 in \(Samples.text(p99)): \(Samples.text(ours.percentile(0.99)))")
    }
}

// MARK: - What is measured

extension Bench {
    private mutating func compareAnswers(_ subject: Subject, _ reference: Reference) throws {
        let ours = subject.requests.map { request in
            let answer = subject.authorizer.decide(request)
            return Reference.Answer(
                allowed: answer.decision == .allow, reasons: answer.determining.map(\.id).sorted())
        }
        let allowed = ours.count { $0.allowed } * 100 / ours.count
        let same = zip(ours, reference.answers).count { $0 == $1 }
        expect(
            same == ours.count && ours.count == reference.answers.count,
            "\(same) of \(ours.count) answers are the reference's; \(allowed) in 100 allowed")
    }

    private mutating func decisions(_ subject: Subject, _ reference: Reference) throws {
        let rounds = 40 * subject.requests.count
        for _ in 0..<5 { subject.decideAll() }
        let (first, second) = (subject.decisions(rounds), subject.decisions(rounds))
        let isSmall = subject.scale.policies == 100
        compare(
            "a decision, with what explains it", first, second, reference.engine, atMost: isSmall ? 1 : 2,
            p99: isSmall ? nil : 15)
        let explained = subject.explanations()
        print("    said as a sentence too: \(explained.description)")
        print("    the reference with the way from Python and back: \(reference.wall.description)")
        let (batch, batchAgain) = (subject.batches(), subject.batches())
        compare("a request of a batch of 1,000", batch, batchAgain, reference.batch, atMost: isSmall ? 0.7 : nil)
    }

    private mutating func preparation(_ subject: Subject, _ reference: Reference) throws {
        let (parse, parseAgain) = (try subject.preparations(), try subject.preparations())
        compare("1,000 policies read and made ready", parse, parseAgain, reference.parse, atMost: 25_000)
        let (partial, partialAgain) = (try subject.filters(), try subject.filters())
        compare("a row filter: the resource unknown", partial, partialAgain, reference.partial, atMost: 100)
    }

    private mutating func changes(_ subject: Subject, _ reference: Reference) throws {
        let (policy, policyAgain) = (try subject.policyChanges(), try subject.policyChanges())
        compare("one policy replaced", policy, policyAgain, reference.policyChange, atMost: 100)
        let (entity, entityAgain) = (try subject.entityChanges(), try subject.entityChanges())
        compare("one entity replaced", entity, entityAgain, reference.entityChange, atMost: 100)
    }

    private func memory() throws {
        let scale = Scale(policies: 10_000, entities: 100_000)
        let before = try Memory.resident()
        let entities = try Entities(scale.entityList)
        let between = try Memory.resident()
        let policies = try Subject.policies(scale)
        let read = try Memory.resident()
        let authorizer = IndexedAuthorizer(policies: policies, entities: entities)
        let after = try Memory.resident()
        print("\n10,000 policies, 100,000 entities")
        print("  memory: \((between - before) / scale.entities) bytes an entity,")
        print(
            "    \((read - between) / scale.policies) bytes a policy as read, \((after - read) / scale.policies) more made ready"
        )
        precondition(authorizer.policyCount == scale.policies)
    }
}

struct BenchError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
