import ArgumentParser
import CoordinationAPI
import Foundation
import Mesh
import PosternNode

/// `posternd join`
struct JoinCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "join", abstract: "Make this machine a node, with a join token.",
        discussion: """
            The token comes from a file that nobody else can read, or from standard input; it is never an argument,
            for arguments are everybody's to see. The keys are made here and never leave this machine.
            """)

    @Option(help: "The file with the join token; `-` is standard input.")
    var tokenFile: String

    @Option(help: "The name of this node: lower-case letters, digits and `-`.")
    var name: String

    @Option(
        help: ArgumentHelp(
            "Where other nodes reach this one's WireGuard port: ADDRESS:PORT, with IPv6 in brackets; best first. "
                + "May be given again. Without it: every address of this machine, also when they change.",
            valueName: "address:port"))
    var endpoint: [String] = []

    @Option(help: "Where the node keeps its keys and its map (mode 0700).")
    var state = "/var/lib/postern/node"

    func run() async throws {
        try await reportingErrors {
            let endpoints = try endpoint.map { text throws(NodeError) in
                guard let endpoint = Endpoint(text) else {
                    throw NodeError("`\(text)` is not ADDRESS:PORT, such as 192.0.2.10:51820 or [2001:db8::10]:51820")
                }
                return endpoint
            }
            let token = try JoinToken(parsing: try readSecretFile(tokenFile, upTo: JoinToken.maximumLength))
            let request = Join.Request(token: token, name: try NodeName(name), endpoints: endpoints)
            let membership = try await Join.perform(request, in: StateDirectory(path: state), now: wallClock())
            print("joined mesh \(membership.mesh) as node \(membership.node)")
            print("  coordinator   \(membership.url)")
            print("  trust anchor  \(token.ca)")
            print("  address pool  \(membership.pool.v4Text), \(membership.pool.v6Text)")
            print("next: posternd run")
        }
    }
}
