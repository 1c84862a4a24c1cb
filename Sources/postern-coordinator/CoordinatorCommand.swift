import ArgumentParser
import Glibc

@main
struct CoordinatorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "postern-coordinator",
        abstract: "The server of a mesh: its registry, its CA and its policies.",
        discussion: """
            A mesh has one coordinator. Make the mesh once, then let the coordinator serve:

              postern-coordinator init --state /var/lib/postern --mesh acme.example \\
                  --url https://coordinator.acme.example:8443
              postern-coordinator serve --state /var/lib/postern --listen 0.0.0.0:8443

            Whoever holds the state directory holds the mesh: keep it, back it up, show it to nobody.

            Exit codes: 0 it was done; 1 it could not be done, or wrong usage, and standard error says why.
            """,
        version: "0.1.0",
        subcommands: [Init.self, Serve.self, Restore.self])

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
            write(fullMessage(for: error) + "\n", to: STDERR_FILENO)
            Glibc.exit(1)
        } catch { exit(withError: error) }
    }
}

/// Runs a command's work; an error becomes one sentence on standard error and exit code 1.
func reportingErrors(_ work: () async throws -> Void) async throws {
    do { try await work() } catch {
        write("postern-coordinator: \(error)\n", to: STDERR_FILENO)
        throw ExitCode(1)
    }
}

/// Writes at once, though the descriptor be a pipe.
func write(_ line: String, to descriptor: Int32) {
    let bytes = Array(line.utf8)
    _ = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
}
