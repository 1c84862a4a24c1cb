import ArgumentParser
import CoordinationAPI
import Mesh

/// `postern policy`
struct PolicyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "policy", abstract: "Work on policies in files, and make them the mesh's.",
        discussion: """
            The commands on files ask nobody. They have the flags, the output and the exit codes of Cedar's own command \
            line: `cedar validate …` is `postern policy validate …`.

            Exit codes: 0 done, allowed or valid, 1 error, 2 denied, 3 not valid, 4 not known yet.
            """,
        groupedSubcommands: [
            CommandGroup(
                name: "The mesh's policies",
                subcommands: [Apply.self, Check.self, Delete.self, Log.self, Rollback.self]),
            CommandGroup(
                name: "Policies in files",
                subcommands: [
                    Authorize.self, Evaluate.self, Validate.self, CheckParse.self, Format.self, TranslatePolicy.self,
                    TranslateSchema.self, Link.self, Partial.self, Test.self, Diff.self, SchemaOfMesh.self,
                ]),
        ])

    struct Apply: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "apply", abstract: "Sign policy files and make them the mesh's policy.",
            discussion: """
                A document has its file's name; one of the same name is replaced, and all files go together or not \
                at all. The coordinator refuses policies that name what does not exist.

                Examples:
                  postern policy apply demo.cedar
                  postern policy apply demo.cedar --dry-run
                """)

        @Argument(help: "Files in the Cedar language.")
        var files: [String]

        @OptionGroup var preview: PreviewOptions

        @OptionGroup var admin: AdminOptions

        func run() async throws {
            let documents = try PolicyFiles.read(files)
            guard !preview.dryRun else {
                let written = Set(documents.map(\.name))
                return try await preview.show(as: admin) { registry in
                    try registry.check(documents)
                    return try PolicyPreview(registry) { $0 = $0.filter { !written.contains($0.name) } + documents }
                }
            }
            let names = documents.map { "`\($0.name)`" }.joined(separator: ", ")
            try await change(documents.map { .policy($0) }, as: admin, done: "policy \(names) is applied")
        }
    }

    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "check", abstract: "Read policy files and say what is wrong with their text.",
            discussion: "Asks nobody: whether the names in them exist is checked when they are applied.")

        @Argument(help: "Files in the Cedar language.")
        var files: [String]

        func run() async throws {
            let documents = try PolicyFiles.read(files)
            Terminal.current.print("\(documents.count == 1 ? "the file" : "all \(documents.count) files") can be read")
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "delete", abstract: "Remove a policy document.")

        @Argument(help: "The document's name, such as `demo.cedar`.", transform: name)
        var document: PolicyName

        @OptionGroup var preview: PreviewOptions

        @OptionGroup var admin: AdminOptions

        func run() async throws {
            guard !preview.dryRun else {
                return try await preview.show(as: admin) { registry in
                    guard registry.policies.contains(where: { $0.name == document }) else {
                        throw CommandFailure("there is no policy `\(document)` to remove")
                    }
                    return try PolicyPreview(registry) { $0.removeAll { $0.name == document } }
                }
            }
            try await change([.removal(.policy(document))], as: admin, done: "policy `\(document)` is removed")
        }
    }
}
