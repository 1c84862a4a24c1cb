import ArgumentParser
import Cedar

extension PolicyCommand {
    /// `postern policy test`
    struct Test: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Run cases on policies, and say what no case has tried.",
            discussion: """
                The cases are a JSON array of objects:
                  "name"        what the case shows
                  "request"     as for `authorize --request-json`
                  "entities"    an array, or the name of a file beside the cases; without it, those of --entities
                  "decision"    "allow" or "deny"
                  "reason"      ids of policies that must have made the decision
                  "num_errors"  how many policies must fail

                Below them stands which clauses of the policies were never seen to hold, or never seen not to. With a \
                schema the policies must be valid, and every request must fit. Exit code 1 if a case fails.

                Example:
                  postern policy test -p p.cedar --tests p.tests.json -s s.cedarschema --entities e.json --min-coverage 80
                """,
            aliases: ["run-tests"])

        @OptionGroup var policies: PoliciesOptions

        @Option(help: ArgumentHelp("File with the cases, in JSON.", valueName: "file"))
        var tests: String

        @OptionGroup var schema: SchemaOptions
        @OptionGroup var entities: EntitiesOptions

        @Option(help: ArgumentHelp("Fail where fewer of the clauses' outcomes were seen.", valueName: "percent"))
        var minCoverage: Int?

        @Flag(help: "Print JSON.")
        var json = false

        func run() throws {
            let source = try policies.source
            let set = try policies.load(source)
            let schema = try schema.load()
            if let schema {
                let result = Validator(schema: schema).validate(set)
                let report = ValidationReport(result: result, source: source, denyWarnings: true)
                guard report.hasPassed else { throw CommandFailure(report.text(.plain)) }
            }
            let shared = try entities.load(schema)
            let cases = try PolicyCase.all(in: SourceText(of: tests, what: "cases"))
            var coverage = ClauseCoverage(of: set)
            var outcomes: [(name: String, problem: String?)] = []
            for test in cases {
                outcomes.append((test.name, test.problem(set, schema, shared, &coverage)))
            }
            let failed = outcomes.count { $0.problem != nil }
            let terminal = Terminal.current
            if json {
                terminal.print(Self.json(outcomes, coverage).pretty)
            } else {
                terminal.print("running \(cases.count) test(s)")
                for outcome in outcomes {
                    terminal.print("  test \(outcome.name) ... \(outcome.problem.map { "fail: \($0)" } ?? "ok")")
                }
                terminal.print("results: \(cases.count - failed) passed, \(failed) failed")
                terminal.print(coverage.text)
            }
            guard failed == 0, coverage.percent >= minCoverage ?? 0 else { throw ExitStatus.error }
        }

        private static func json(_ outcomes: [(name: String, problem: String?)], _ coverage: ClauseCoverage) -> JSON {
            .object([
                "tests": .array(
                    outcomes.map {
                        .object([
                            "name": .string(Text($0.name)), "passed": .bool($0.problem == nil),
                            "problem": $0.problem.map { .string(Text($0)) } ?? .null,
                        ])
                    }),
                "coverage": .object([
                    "percent": .number(Int64(coverage.percent)),
                    "missing": .array(coverage.missing.map { .string(Text($0)) }),
                ]),
            ])
        }
    }
}

/// One request, and what must come of it.
struct PolicyCase {
    let name: String
    let request: RequestParts
    /// An array, or the name of a file.
    let entities: JSON?
    let decision: Response.Decision
    let reason: [String]
    let errorCount: Int64?
    /// The folder of the file it stands in.
    let folder: String

    static func all(in source: SourceText) throws(CommandFailure) -> [PolicyCase] {
        let folder = source.name.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(
            separator: "/")
        do throws(JSONError) {
            var cases: [PolicyCase] = []
            for json in try JSON(parsing: source.text).members("the cases") {
                cases.append(try PolicyCase(json, number: cases.count + 1, folder: folder.isEmpty ? "." : folder))
            }
            return cases
        } catch { throw source.failure(error) }
    }

    private init(_ json: JSON, number: Int, folder: String) throws(JSONError) {
        let fields = try json.fields("a case")
        if case .string(let text)? = fields["name"] { name = text.string } else { name = "(unnamed)" }
        guard let request = fields["request"] else { throw JSONError("case \(number) has no `request`") }
        self.request = try RequestParts(request, origin: "case \(number)")
        self.folder = folder
        entities = fields["entities"]
        switch fields["decision"] {
        case .string("allow"): decision = .allow
        case .string("deny"): decision = .deny
        default: throw JSONError("the `decision` of case \(number) is `allow` or `deny`")
        }
        var reason: [String] = []
        for id in try fields["reason"]?.members("the `reason` of case \(number)") ?? [] {
            guard case .string(let id) = id else {
                throw JSONError("the `reason` of case \(number) has ids of policies")
            }
            reason.append(id.string)
        }
        self.reason = reason
        if case .number(let count)? = fields["num_errors"] { errorCount = count } else { errorCount = nil }
    }

    /// Why the case fails; nil if it passes.
    func problem(
        _ policies: PolicySet, _ schema: Schema?, _ shared: Entities, _ coverage: inout ClauseCoverage
    ) -> String? {
        do throws(CommandFailure) {
            let request = try request.request(schema)
            let entities = try knownEntities(schema) ?? shared
            coverage.record(request, entities)
            return difference(from: Authorizer(policies: policies, entities: entities).authorize(request))
        } catch { return error.message }
    }

    private func knownEntities(_ schema: Schema?) throws(CommandFailure) -> Entities? {
        switch entities {
        case nil: return nil
        case .string(let name)?:
            // A case is data: it must not make us read whatever its author likes.
            guard !name.string.hasPrefix("/"), !name.string.split(separator: "/").contains("..") else {
                throw CommandFailure("the entities `\(name)` do not lie beside the cases")
            }
            return try EntitiesOptions.read(SourceText(of: "\(folder)/\(name)", what: "entities"), schema)
        case .some(let json):
            return try EntitiesOptions.read(SourceText(argument: json.description, of: "entities"), schema)
        }
    }

    private func difference(from response: Response) -> String? {
        guard response.decision == decision else {
            let found = response.determining.map { "`\($0.id)`" }.joined(separator: ", ")
            return "expected \(decision.word), got \(response.decision.word)"
                + (found.isEmpty ? "" : " by \(found)")
        }
        let found = Set(response.determining.map(\.id))
        let missing = reason.filter { !found.contains($0) }.map { "`\($0)`" }
        var problems = missing.isEmpty ? [] : ["missing reason(s): \(missing.joined(separator: ", "))"]
        if let errorCount, errorCount != response.errors.count {
            problems.append(
                "expected \(errorCount) error(s), but got \(response.errors.count)"
                    + (response.errors.isEmpty ? "" : ": \(response.errors.map(\.description).joined(separator: ", "))")
            )
        }
        return problems.isEmpty ? nil : problems.joined(separator: "; ")
    }
}

extension Response.Decision {
    var word: String { self == .allow ? "allow" : "deny" }
}
