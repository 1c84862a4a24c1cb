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

            Exit codes: 0 it was done; 1 it could not be done, and standard error says why; 64 wrong usage.
            """,
        version: "0.1.0",
        subcommands: [Init.self, Serve.self, Restore.self])
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
