import ArgumentParser
import CoordinationAPI

/// `postern status`
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show this machine's place in the mesh: map, devices, peers, sessions.",
        discussion: """
            Examples:
              postern status
              postern status --packets     what was let through and what was dropped, by reason
              postern status --json
            """)

    @Flag(help: "Print JSON.")
    var json = false

    @Flag(help: "Show packets by direction and reason.")
    var packets = false

    @OptionGroup var socket: SocketOptions

    func run() async throws {
        guard case .status(let status) = try socket.ask(.status) else { throw CommandFailure.wrongAnswer }
        let view = StatusView(status: status, now: wallClock())
        Terminal.current.print(json ? try JSON.pretty(status) : packets ? view.packets : view.text)
    }
}
