import ArgumentParser

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
        subcommands: [Init.self, Serve.self])
}
