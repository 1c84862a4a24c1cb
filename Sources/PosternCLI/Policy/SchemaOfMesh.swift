import ArgumentParser
import Cedar

extension PolicyCommand {
    /// `postern policy schema`
    struct SchemaOfMesh: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "schema", abstract: "Print the schema of a mesh, with the catalogues of its databases.",
            discussion: """
                A catalogue is a schema file with a namespace of its own. Each of its entity types that is `in [Table]` \
                is a type of rows: the actions on rows apply to it.

                Example:
                  postern policy schema --part orders_db.cedarschema > mesh.cedarschema
                """)

        @Option(help: ArgumentHelp("File with a catalogue, in the Cedar schema format.", valueName: "file"))
        var part: [String] = []

        @Flag(help: "Print JSON.")
        var json = false

        func run() throws {
            var composed = MeshSchemaText()
            for path in part { try composed.add(SourceText(of: path, what: "catalogue")) }
            let text = try composed.text
            guard json else {
                Terminal.current.output(text)
                return
            }
            do { Terminal.current.print(try SchemaFragment(parsing: text).json) } catch {
                throw CommandFailure("\(error)")
            }
        }
    }
}

/// The schema of one mesh: what all have, and its own catalogues.
///
/// The language cannot reopen an action, so the types of rows are written into those of the base.
struct MeshSchemaText {
    private var parts: [String] = []
    private var rows: [String] = []

    /// Adds a catalogue; it declares nothing outside a namespace of its own.
    mutating func add(_ source: SourceText) throws(CommandFailure) {
        let fragment: SchemaFragment
        do { fragment = try SchemaFragment(parsing: source.text) } catch { throw source.failure(error) }
        for (name, namespace) in fragment.namespaces.sorted(by: { $0.key < $1.key }) {
            guard !name.isEmpty else {
                throw CommandFailure("\(source.name): a catalogue declares everything in a namespace of its own")
            }
            guard namespace.actions.isEmpty else {
                throw CommandFailure("\(source.name): a catalogue declares no actions, but `\(name)` does")
            }
            for (type, declaration) in namespace.entityTypes.sorted(by: { $0.key < $1.key }) {
                if case .standard(let parents, _, _) = declaration.kind, parents.contains("Table") {
                    rows.append("\(name)::\(type)")
                }
            }
        }
        parts.append(source.text)
    }

    /// The whole, which is sound.
    var text: String {
        get throws(CommandFailure) {
            let resources = "[\((["Table"] + rows).joined(separator: ", "))],"
            let base =
                rows.isEmpty ? BaseSchema.text : BaseSchema.text.replacing(BaseSchema.placeOfRows, with: resources)
            let whole = ([base] + parts).joined(separator: "\n")
            do { _ = try Schema(parsing: whole) } catch {
                throw CommandFailure("the schema does not fit together: \(error)")
            }
            return whole
        }
    }
}
