import ArgumentParser
import CoordinationAPI
import Glibc
import Mesh

/// `postern join-token`
struct JoinTokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "join-token", abstract: "Make the tokens with which machines join.", subcommands: [Create.self])

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "create", abstract: "Make a token with which one machine may join, once.",
            discussion: """
                The token is a secret. It goes to a file of mode 0600 that must not be there yet, or with `-` to \
                standard output; it is shown this once.

                Examples:
                  postern join-token create --node node-b --output join.json
                  postern join-token create --output - | ssh node-b posternd join --token-file - --name node-b …
                """)

        @Option(help: ArgumentHelp("The only name that the machine may take.", valueName: "node"), transform: name)
        var node: NodeName?

        @Option(help: ArgumentHelp("How long it is good: 10s to 1d, such as 15m.", valueName: "span"))
        var ttl = Span(seconds: 900)

        @Option(help: ArgumentHelp("The file to make, or `-` for standard output.", valueName: "file"))
        var output: String

        @OptionGroup var admin: AdminOptions

        func validate() throws {
            guard JoinTokenRequest.lifetimeRange.contains(ttl.seconds) else {
                let range = JoinTokenRequest.lifetimeRange
                throw ValidationError(
                    "--ttl is from \(Span(seconds: range.lowerBound)) to \(Span(seconds: range.upperBound))")
            }
        }

        func run() async throws {
            let access = try admin.load()
            // The file first: a token that cannot be written should not be made.
            let file = output == "-" ? nil : try SecretFile.create(output)
            do {
                let request = JoinTokenRequest(node: node, lifetimeSeconds: ttl.seconds)
                let token = try await CoordinatorClient.with(access) { try await $0.joinToken(request) }
                let text = try JSON.pretty(token) + "\n"
                guard let file else { return Terminal.current.print(text) }
                try SecretFile.write(Array(text.utf8), to: file, path: output)
                close(file)
                explain(token)
            } catch {
                if let file {
                    close(file)
                    unsafe unlink(output)
                }
                throw error
            }
        }

        private func explain(_ token: JoinToken) {
            let machine = token.node.map { "machine as node `\($0)`" } ?? "machine"
            Terminal.current.print(
                """
                wrote `\(output)`: one \(machine) may join with it, once, until \(token.expires)
                carry it there unseen, and there, as root:
                  posternd join --token-file \(output) --name \(token.node?.description ?? "NAME") --endpoint ADDRESS:PORT
                then delete it
                """)
        }
    }
}
