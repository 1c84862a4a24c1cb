import ArgumentParser
import Cedar

/// Where policies come from, by the flags of Cedar's own command line.
struct PoliciesOptions: ParsableArguments {
    enum Format: String, CaseIterable, ExpressibleByArgument { case cedar, json }

    @Option(
        name: [.customShort("p"), .customLong("policies")],
        help: ArgumentHelp("File with policies and templates; standard input if not given.", valueName: "file"))
    var file: String?

    @Option(help: "Format of the policies.")
    var policyFormat = Format.cedar

    @Option(
        name: [.customShort("k"), .customLong("template-linked")],
        help: ArgumentHelp("File with links of templates, as `link` writes it.", valueName: "file"))
    var linksFile: String?

    func load() throws(CommandFailure) -> PolicySet { try load(source) }

    var source: SourceText {
        get throws(CommandFailure) { try SourceText(of: file, what: "policies") }
    }

    /// - Parameter source: the text of the policies, where it was read before.
    func load(_ source: SourceText) throws(CommandFailure) -> PolicySet {
        let policies = try Self.read(source, policyFormat)
        guard let linksFile else { return policies }
        return try TemplateLinks(at: linksFile).applied(to: policies)
    }

    static func read(_ source: SourceText, _ format: Format) throws(CommandFailure) -> PolicySet {
        switch format {
        case .cedar:
            do { return try PolicySet(parsing: source.text, allowingTemplates: true) } catch {
                throw source.failure(error)
            }
        case .json:
            do { return try PolicySet(parsingJSONOfSetOrPolicy: source.text) } catch { throw source.failure(error) }
        }
    }
}

/// Where the schema comes from.
struct SchemaOptions: ParsableArguments {
    enum Format: String, CaseIterable, ExpressibleByArgument { case cedar, json }

    @Option(
        name: [.customShort("s"), .customLong("schema")], help: ArgumentHelp("File with the schema.", valueName: "file")
    )
    var file: String?

    @Option(help: "Format of the schema.")
    var schemaFormat = Format.cedar

    func load() throws(CommandFailure) -> Schema? {
        guard let file else { return nil }
        let source = try SourceText(of: file, what: "schema")
        do throws(SchemaError) {
            return switch schemaFormat {
            case .cedar: try Schema(parsing: source.text)
            case .json: try Schema(parsingJSON: source.text)
            }
        } catch { throw source.failure(error) }
    }

    func required() throws(CommandFailure) -> Schema {
        guard let schema = try load() else { throw CommandFailure("say which schema, with --schema") }
        return schema
    }
}

/// Where entities come from.
struct EntitiesOptions: ParsableArguments {
    @Option(name: .customLong("entities"), help: ArgumentHelp("File with the entities, in JSON.", valueName: "file"))
    var file: String?

    /// No file means no entities, and the actions of the schema.
    func load(_ schema: Schema?) throws(CommandFailure) -> Entities {
        guard let file else { return try Self.read(SourceText(argument: "[]", of: "--entities"), schema) }
        return try Self.read(SourceText(of: file, what: "entities"), schema)
    }

    static func read(_ source: SourceText, _ schema: Schema?) throws(CommandFailure) -> Entities {
        do throws(JSONError) {
            if let schema { return try Entities(parsingJSON: source.text, schema: schema) }
            return try Entities(parsingJSON: source.text)
        } catch { throw source.failure(error) }
    }
}
