import ArgumentParser
import Cedar

extension PolicyCommand {
    /// `postern policy check-parse`
    struct CheckParse: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say whether policies, an expression, a schema or entities can be read.",
            discussion: """
                Reads whatever is given, or policies from standard input where nothing is. Says nothing if all is well.

                Example:
                  postern policy check-parse -p policies.cedar -s s.cedarschema --entities e.json
                """)

        @OptionGroup var policies: PoliciesOptions

        @Option(help: "An expression.")
        var expression: String?

        @OptionGroup var schema: SchemaOptions
        @OptionGroup var entities: EntitiesOptions

        func run() throws {
            var failures: [CommandFailure] = []
            func check<Part>(_ read: () throws(CommandFailure) -> Part?) -> Part? {
                do { return try read() } catch {
                    failures.append(error)
                    return nil
                }
            }
            let isAlone = schema.file == nil && entities.file == nil && expression == nil
            if policies.file != nil || isAlone {
                _ = check { () throws(CommandFailure) in try policies.load() }
            }
            if let expression {
                let source = SourceText(argument: expression, of: "expression")
                do { _ = try Cedar.Expression(parsing: expression) } catch { failures.append(source.failure(error)) }
            }
            let known = check { () throws(CommandFailure) in try schema.load() }
            if entities.file != nil {
                _ = check { () throws(CommandFailure) in try entities.load(known) }
            }
            guard failures.isEmpty else {
                throw CommandFailure(failures.map(\.message).joined(separator: "\n"))
            }
        }
    }
}
