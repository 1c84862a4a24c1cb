import ArgumentParser
import Foundation

/// `posternd`: the node daemon.
@main
struct PosterndCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "posternd",
        abstract: "Keeps this machine in the mesh, and runs its agents.",
        discussion: """
            Keep the daemon running, as root; on a machine that has not joined yet, it waits for a token:

              posternd run
              postern up --token-file join.json --name node-a

            The token is one that an admin made (`postern join-token create`). To join without the daemon:

              posternd join --token-file join.json --name node-a --endpoint 192.0.2.10:51820

            Exit codes: 0 it ended as it was told to; 1 it could not, or wrong usage, and standard error says why.
            """,
        version: "0.1.0",
        subcommands: [JoinCommand.self, RunCommand.self])

    /// As the parser would have it, but for wrong usage: that is an error like any other, with exit code 1.
    static func main() async {
        do {
            var command = try parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch  where exitCode(for: error) == .validationFailure {
            FileHandle.standardError.write(Data((fullMessage(for: error) + "\n").utf8))
            Foundation.exit(1)
        } catch { exit(withError: error) }
    }
}
