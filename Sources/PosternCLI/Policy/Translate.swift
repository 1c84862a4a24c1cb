import ArgumentParser
import Cedar

extension PolicyCommand {
    /// `postern policy translate-policy`
    struct TranslatePolicy: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Turn policies into JSON, or back.",
            discussion: """
                Comments are lost. Policies linked to templates have no text of their own, so they stay in JSON.

                Example:
                  postern policy translate-policy --direction cedar-to-json -p policies.cedar
                """)

        enum Direction: String, CaseIterable, ExpressibleByArgument {
            case cedarToJSON = "cedar-to-json"
            case jsonToCedar = "json-to-cedar"
        }

        @Option(help: "From what to what.")
        var direction: Direction

        @Option(
            name: [.customShort("p"), .customLong("policies")],
            help: ArgumentHelp("File with the policies; standard input if not given.", valueName: "file"))
        var file: String?

        func run() throws {
            let source = try SourceText(of: file, what: "policies")
            switch direction {
            case .cedarToJSON: Terminal.current.print(try PoliciesOptions.read(source, .cedar).json)
            case .jsonToCedar:
                let policies = try PoliciesOptions.read(source, .json)
                guard policies.policies.allSatisfy({ $0.link == nil }) else {
                    throw CommandFailure("\(source.name): policies linked to templates cannot be written as text")
                }
                let texts =
                    policies.policies.sorted { $0.id < $1.id }.map(\.description)
                    + policies.templates.sorted { $0.id < $1.id }.map(\.description)
                Terminal.current.print(texts.joined(separator: "\n\n"))
            }
        }
    }

    /// `postern policy translate-schema`
    struct TranslateSchema: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Turn a schema into JSON, or back.",
            discussion: """
                Comments are lost. With resolved types every name says whether it is of an entity type or a common type, \
                so all must be declared.

                Example:
                  postern policy translate-schema --direction cedar-to-json -s config/postern.cedarschema
                """)

        enum Direction: String, CaseIterable, ExpressibleByArgument {
            case jsonToCedar = "json-to-cedar"
            case cedarToJSON = "cedar-to-json"
            case cedarToResolvedJSON = "cedar-to-json-with-resolved-types"
        }

        @Option(help: "From what to what.")
        var direction: Direction

        @Option(
            name: [.customShort("s"), .customLong("schema")],
            help: ArgumentHelp("File with the schema; standard input if not given.", valueName: "file"))
        var file: String?

        func run() throws {
            let source = try SourceText(of: file, what: "schema")
            let translated: String
            do {
                translated =
                    switch direction {
                    case .jsonToCedar: try SchemaFragment(parsingJSON: source.text).text
                    case .cedarToJSON: try SchemaFragment(parsing: source.text).json
                    case .cedarToResolvedJSON: try SchemaFragment(parsing: source.text).resolvingNames().json
                    }
            } catch let error as SchemaError { throw source.failure(error) } catch {
                throw CommandFailure("\(source.name): \(error)")
            }
            Terminal.current.print(translated)
        }
    }
}
