import ArgumentParser
import CoordinationAPI
import Mesh

/// `postern whois`
struct WhoisCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "whois", abstract: "Say who has a mesh address, or bears a name.",
        discussion: """
            Takes an address of the mesh, or the name of a node, a service (its node is meant), an agent (its sessions \
            are meant) or the id of a session. A node knows the peers with which policy connects it, and no others.

            Examples:
              postern whois 10.84.0.11
              postern whois ledger
              postern whois node-b.acme.example --json
            """)

    @Argument(help: "An address or a name.")
    var who: String

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var socket: SocketOptions

    func run() async throws {
        guard case .whois(let peers) = try socket.ask(.whois(who)) else { throw CommandFailure.wrongAnswer }
        let view = peers.map { PeerView(peer: $0, now: wallClock()).text }.joined(separator: "\n")
        Terminal.current.print(json ? try JSON.pretty(peers) : view)
    }
}

/// One peer as people read of it.
struct PeerView {
    let peer: PeerReport
    let now: Timestamp

    var text: String {
        let pairs: [(String, String?)] = [
            (peer.kind.rawValue, peer.kind == .node ? peer.node.description : peer.session?.description),
            ("agent", peer.agent?.description), ("owner", peer.owner?.description),
            ("on node", peer.kind == .session ? peer.node.description : nil),
            ("addresses", peer.addresses.joined(separator: ", ")), ("key", peer.key.description),
            ("endpoints", peer.endpoints.joined(separator: ", ")), ("seen at", peer.seenAt),
            ("handshake", peer.lastHandshake.map { age($0, now: now) }),
            ("services", peer.services.isEmpty ? nil : peer.services.map(\.description).joined(separator: ", ")),
            ("since", peer.since.map { "\($0), \(age($0, now: now))" }),
            ("until", peer.until.map { "\($0), in \(Span($0 - now)), unless it is renewed" }),
        ]
        return labelled(pairs.compactMap { name, value in value.map { (name, $0) } })
    }
}
