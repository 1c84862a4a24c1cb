import ArgumentParser
import Glibc
import PosternCoordinator

struct Restore: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Accept a database that is older than the last checkpoint.",
        discussion: """
            A coordinator does not serve a database that was changed behind its back, and an older copy is one. When \
            you put a copy back on purpose, stop the coordinator, run this once, and serve again. The signatures in \
            the copy are checked; what was changed after the copy was made is lost: nodes that joined since must \
            join again, and agents, services and policies must be written again.

            Nodes take the older state because a new epoch begins, which they never leave again.
            """)

    @Option(help: ArgumentHelp("The directory that `init` made.", valueName: "directory"))
    var state: String

    func run() async throws {
        try await reportingErrors {
            umask(0o077)
            let result = try await Restoring.restore(StateDirectory(state), now: systemTime())
            print("Restored: version \(result.version), epoch \(result.epoch). Now serve it.")
        }
    }
}
