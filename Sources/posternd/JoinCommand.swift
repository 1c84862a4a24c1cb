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
        help: "Where other nodes reach this one: ADDRESS:PORT, with IPv6 in brackets. The port is WireGuard's, UDP.")
    var endpoint: String

    @Option(help: "Where the node keeps its keys and its map (mode 0700).")
    var state = "/var/lib/postern/node"

    func run() async throws {
        try await reportingErrors {
            guard let endpoint = Endpoint(endpoint) else {
                throw NodeError("`\(endpoint)` is not ADDRESS:PORT, such as 192.0.2.10:51820 or [2001:db8::10]:51820")
            }
            let token = try JoinToken(parsing: try readSecretFile(tokenFile, upTo: JoinToken.maximumLength))
            let request = Join.Request(token: token, name: try NodeName(name), endpoint: endpoint)
            let membership = try await Join.perform(request, in: StateDirectory(path: state), now: wallClock())
            print("joined mesh \(membership.mesh) as node \(membership.node)")
            print("  coordinator   \(membership.url)")
            print("  trust anchor  \(token.ca)")
            print("  address pool  \(membership.pool.v4Text), \(membership.pool.v6Text)")
            print("next: posternd run")
        }
    }
}
