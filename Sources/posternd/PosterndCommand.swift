import ArgumentParser

/// `posternd`: the node daemon.
@main
struct PosterndCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "posternd",
        abstract: "Keeps this machine in the mesh, and runs its agents.",
        discussion: """
            First join, once, with a token that an admin made (`postern join-token create`):

              posternd join --token-file join.json --name node-a --endpoint 192.0.2.10:51820

            Then keep the daemon running, as root:

              posternd run
            """,
        version: "0.1.0",
        subcommands: [JoinCommand.self, RunCommand.self])
}
