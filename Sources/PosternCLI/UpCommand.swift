import ArgumentParser
import CoordinationAPI
import Foundation
import Mesh

/// `postern up`
struct UpCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "up", abstract: "Bring the mesh up on this machine; join first, where a token is given.",
        discussion: """
            On a machine that has not joined, posternd waits for a token: it comes from a file that nobody else can \
            read, or with `-` from standard input. Afterwards, and after `postern down`, no token is needed. The \
            command waits until the machine is connected, and otherwise says what is missing. For root only.

            Examples:
              postern up --token-file join.json --name node-b
              postern up --token-file join.json --name node-b --endpoint 192.0.2.11:51820
              postern up
            """)

    @Option(help: ArgumentHelp("The join token; `-` is standard input.", valueName: "file"))
    var tokenFile: String?

    @Option(
        name: .customLong("name"),
        help: ArgumentHelp("The name of this node. Without it: the one in the token.", valueName: "node"),
        transform: name)
    var node: NodeName?

    @Option(
        help: ArgumentHelp(
            "Where other nodes reach this one's WireGuard port. May be given again; without it, every address of the "
                + "machine.", valueName: "address:port"),
        transform: endpointText)
    var endpoint: [Endpoint] = []

    @Option(help: ArgumentHelp("How long to wait until connected: 1s to 10m.", valueName: "span"))
    var timeout = Span(seconds: 30)

    @Flag(help: "Print JSON: the status once connected.")
    var json = false

    @OptionGroup var socket: SocketOptions

    func validate() throws {
        guard tokenFile != nil || (node == nil && endpoint.isEmpty) else {
            throw ValidationError("--name and --endpoint are for joining: give --token-file, too")
        }
        guard (1...600).contains(timeout.seconds) else { throw ValidationError("--timeout is from 1s to 10m") }
    }

    func run() async throws {
        guard case .up = try socket.ask(.up(try order()), within: .seconds(60)) else {
            throw CommandFailure.wrongAnswer
        }
        let status = try await waitUntilConnected()
        let text = "node `\(status.node)` of mesh `\(status.mesh)` is up: \(status.address), \(status.address6)"
        Terminal.current.print(json ? try JSON.pretty(status) : text)
    }

    private func order() throws(CommandFailure) -> JoinOrder? {
        guard let tokenFile else { return nil }
        let token: JoinToken
        do { token = try JoinToken(parsing: try SecretFile.read(tokenFile, upTo: JoinToken.maximumLength)) } catch {
            throw (error as? CommandFailure) ?? CommandFailure("cannot use `\(tokenFile)`: \(error)")
        }
        guard let name = node ?? token.node else {
            throw CommandFailure("the token is good for any name: say which one this node takes, by --name")
        }
        return JoinOrder(token: token, name: name, endpoints: endpoint)
    }

    /// A daemon that has just joined opens its socket anew, so that for a moment nobody answers.
    private func waitUntilConnected() async throws -> NodeStatus {
        let deadline = ContinuousClock.now + .seconds(timeout.seconds)
        while true {
            let missing: String
            do {
                guard case .status(let status) = try socket.ask(.status) else { throw CommandFailure.wrongAnswer }
                guard let reason = status.missing(at: wallClock()) else { return status }
                missing = reason
            } catch let failure as CommandFailure { missing = failure.message }
            guard ContinuousClock.now < deadline else {
                throw CommandFailure("not connected within \(timeout): \(missing); `postern doctor` says more")
            }
            try await Task.sleep(for: .milliseconds(200))
        }
    }
}

extension NodeStatus {
    /// What keeps the node from being connected; nil when nothing does.
    func missing(at now: Timestamp) -> String? {
        if isDown { return "the mesh is down here" }
        if let coordinatorError { return coordinatorError }
        guard mapVersion != nil, let mapValidUntil else { return "the coordinator has given no map of the mesh yet" }
        guard mapValidUntil > now else { return "the map of the mesh has run out" }
        if let problem = problems.first { return problem }
        guard let device = devices.first(where: { $0.session == nil }) else { return "there is no mesh device yet" }
        return device.classifierAttached ? nil : "the classifier does not stand on `\(device.name)`"
    }
}

/// `postern down`
struct DownCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "down", abstract: "Take the mesh down on this machine, until `postern up`.",
        discussion: """
            Sessions end, new ones are refused, and the mesh device goes. A restart of posternd or of the machine \
            changes nothing about it. The wall stays: what is sent to the mesh's addresses reaches nobody. For root only.
            """)

    @Flag(help: "Print JSON: the status afterwards.")
    var json = false

    @OptionGroup var socket: SocketOptions

    func run() async throws {
        guard case .down = try socket.ask(.down) else { throw CommandFailure.wrongAnswer }
        guard json else { return Terminal.current.print("the mesh is down here; `postern up` brings it up") }
        guard case .status(let status) = try socket.ask(.status) else { throw CommandFailure.wrongAnswer }
        Terminal.current.print(try JSON.pretty(status))
    }
}
