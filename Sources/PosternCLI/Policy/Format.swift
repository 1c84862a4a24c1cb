import ArgumentParser
import Cedar

extension PolicyCommand {
    /// `postern policy format`
    struct Format: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lay policies out.",
            discussion: """
                Comments stay, and what is laid out stays as it is.

                Examples:
                  postern policy format -p policies.cedar --write
                  postern policy format -p policies.cedar --check >/dev/null || echo not laid out
                """)

        @Option(
            name: [.customShort("p"), .customLong("policies")],
            help: ArgumentHelp("File with policies and templates; standard input if not given.", valueName: "file"))
        var file: String?

        @Option(name: .shortAndLong, help: "How long lines may be.")
        var lineWidth = 80

        @Option(name: .shortAndLong, help: "How far each level is indented.")
        var indentWidth = 2

        @Flag(name: .shortAndLong, help: "Write the policies back to their file.")
        var write = false

        @Flag(name: .shortAndLong, help: "Exit with 1 unless the policies are laid out.")
        var check = false

        func validate() throws {
            guard !(write && check) else {
                throw ArgumentParser.ValidationError("--write and --check do not go together")
            }
            guard !write || file != nil else {
                throw ArgumentParser.ValidationError("--write needs a file to write to: --policies")
            }
        }

        func run() throws {
            let source = try SourceText(of: file, what: "policies")
            let text: String
            do {
                text = try PolicyFormatter(lineWidth: lineWidth, indentWidth: indentWidth).format(source.text)
            } catch { throw source.failure(error) }
            if write, let file {
                try PlainFile.write(text, to: file)
            } else {
                Terminal.current.output(text)
            }
            if check, !text.utf8.elementsEqual(source.text.utf8) { throw ExitStatus.error }
        }
    }
}
