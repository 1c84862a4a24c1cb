import ArgumentParser
import Cedar

extension PolicyCommand {
    /// `postern policy validate`
    struct Validate: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Check policies against a schema.",
            discussion: """
                What passes cannot fail by a wrong type or a missing attribute on any request that fits the schema.

                Exit code 0 means valid, 3 not valid, 1 that the files cannot be read. A policy that can never apply is \
                a warning, and with --deny-warnings a failure.

                Example:
                  postern policy validate -s config/postern.cedarschema -p policies.cedar --deny-warnings
                """)

        enum Mode: String, CaseIterable, ExpressibleByArgument { case strict, permissive, partial }

        @OptionGroup var schema: SchemaOptions
        @OptionGroup var policies: PoliciesOptions

        @Flag(help: "Let warnings fail, too.")
        var denyWarnings = false

        @Option(help: "How strictly types must go together.")
        var validationMode = Mode.strict

        @Option(help: "How many entities far from those of the request policies may look.")
        var level: Int?

        @Option(name: [.customShort("f"), .long], help: "How the result is printed.")
        var errorFormat = ValidationReport.Format.human

        @Flag(help: "Print JSON: the errors and the warnings, each with its policy and place.")
        var json = false

        func validate() throws {
            guard validationMode != .partial else {
                throw ArgumentParser.ValidationError("there is no validation with a schema that is known in part")
            }
            guard level.map({ $0 >= 0 }) ?? true else { throw ArgumentParser.ValidationError("--level is 0 or more") }
        }

        func run() throws {
            let source = try policies.source
            let set = try policies.load(source)
            let validator = Validator(
                schema: try schema.required(), mode: validationMode == .permissive ? .permissive : .strict)
            let result = validator.validate(set, level: level)
            let report = ValidationReport(result: result, source: source, denyWarnings: denyWarnings)
            Terminal.current.print(json ? report.json.pretty : report.text(errorFormat))
            guard report.hasPassed else { throw ExitStatus.invalid }
        }
    }
}

/// What a validator found, as people and scripts read it.
struct ValidationReport {
    /// The forms of the reference.
    enum Format: String, CaseIterable, ExpressibleByArgument { case human, plain, json }

    let result: ValidationResult
    let source: SourceText
    let denyWarnings: Bool

    var hasPassed: Bool { result.isValid && (!denyWarnings || result.warnings.isEmpty) }

    private var headline: String { "policy set validation \(hasPassed ? "passed" : "failed")" }

    private var severity: String { result.isValid ? result.warnings.isEmpty ? "advice" : "warning" : "error" }

    private var findings: [(message: String, range: SourceRange?)] {
        result.errors.map { ("policy `\($0.policy)`: \($0.kind)", $0.range) }
            + result.warnings.map { ("warning: policy `\($0.policy)`: \($0.kind)", $0.range) }
    }

    func text(_ format: Format) -> String {
        let causes =
            findings.isEmpty ? ["no errors or warnings"] : findings.map { source.place($0.message, at: $0.range) }
        switch format {
        case .human:
            let mark = result.isValid ? result.warnings.isEmpty ? "☞" : "⚠" : "×"
            return "  \(mark) \(headline)\n"
                + causes.map { "  ╰─▶ \($0.replacing("\n", with: "\n      "))\n" }.joined()
        case .plain:
            return "\(headline)\n    Diagnostic severity: \(severity)\n"
                + causes.map { "    Caused by: \($0.replacing("\n", with: "\n    "))\n" }.joined()
        case .json:
            // The reference's order and spaces: there are scripts that compare the whole line.
            let message = JSON.string(Text(headline))
            let list = causes.map { JSON.string(Text($0)).description }.joined(separator: ", ")
            return "{\"message\": \(message),\"severity\": \"\(severity)\",\"causes\": [\(list)],"
                + "\"labels\": [],\"related\": []}"
        }
    }

    var json: JSON {
        func entry(_ policy: String, _ message: String, _ range: SourceRange?) -> JSON {
            var fields: [Text: JSON] = ["policyId": .string(Text(policy)), "message": .string(Text(message))]
            if let range, range.start != range.end {
                fields["line"] = .number(Int64(range.start.line))
                fields["column"] = .number(Int64(range.start.column))
            }
            return .object(fields)
        }
        return .object([
            "valid": .bool(hasPassed),
            "errors": .array(result.errors.map { entry($0.policy, "\($0.kind)", $0.range) }),
            "warnings": .array(result.warnings.map { entry($0.policy, "\($0.kind)", $0.range) }),
        ])
    }
}
