import ArgumentParser
import Cedar

extension PolicyCommand {
    /// `postern policy authorize`
    struct Authorize: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Decide one request by the policies of a file.",
            discussion: """
                Prints ALLOW or DENY. Exit code 0 means allowed, 2 denied, 1 that it could not be decided.

                A policy that fails on the request counts for nothing, and is named below the decision.

                Examples:
                  postern policy authorize -p p.cedar --entities e.json -l 'User::"ann"' -a 'Action::"view"' -r 'Doc::"d"'
                  postern policy authorize -p p.cedar --entities e.json -s s.cedarschema --request-json r.json -v
                """)

        @OptionGroup var request: RequestOptions
        @OptionGroup var policies: PoliciesOptions
        @OptionGroup var schema: SchemaOptions
        @OptionGroup var entities: EntitiesOptions

        @Flag(name: .shortAndLong, help: "Say which policies made the decision.")
        var verbose = false

        @Flag(name: .shortAndLong, help: "Say how long the decision took.")
        var timing = false

        @Flag(help: "Print JSON.")
        var json = false

        func run() throws {
            let schema = try schema.load()
            let authorizer = IndexedAuthorizer(policies: try policies.load(), entities: try entities.load(schema))
            let request = try request.load(schema)
            let start = ContinuousClock.now
            let response = authorizer.decide(request).response
            let duration = ContinuousClock.now - start
            let terminal = Terminal.current
            if json {
                terminal.print(response.json.pretty)
            } else {
                terminal.print("")
                if timing { terminal.print(PolicyCommand.timing(duration)) }
                terminal.print(response.text(verbose: verbose))
            }
            guard response.decision == .allow else { throw ExitStatus.denied }
        }
    }

    static func timing(_ duration: Duration) -> String {
        "Authorization Time (micro seconds) : \(Int64(duration / .microseconds(1)))"
    }
}

extension Response {
    /// As the reference prints it.
    fileprivate func text(verbose: Bool) -> String {
        var lines = [decision == .allow ? "ALLOW" : "DENY"]
        if !errors.isEmpty {
            lines += [""] + errors.map { "error while evaluating policy `\($0.policy)`: \($0.error)" }
        }
        if verbose {
            lines.append("")
            if determining.isEmpty {
                lines.append("note: no policies applied to this request")
            } else {
                lines.append("note: this decision was due to the following policies:")
                lines += determining.map { "  \($0.id)" } + [""]
            }
        }
        return lines.map { $0 + "\n" }.joined()
    }

    /// `{"decision": "allow", "diagnostics": {"reason": […], "errors": […]}}`
    var json: JSON {
        .object([
            "decision": .string(decision == .allow ? "allow" : "deny"),
            "diagnostics": .object([
                "reason": .array(determining.map { .string(Text($0.id)) }),
                "errors": .array(
                    errors.map {
                        .object([
                            "policyId": .string(Text($0.policy)),
                            "error": .object(["message": .string(Text("\($0.error)"))]),
                        ])
                    }),
            ]),
        ])
    }
}
