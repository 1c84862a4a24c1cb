import ArgumentParser
import CoordinationAPI
import Mesh

/// `postern ping`
struct PingCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ping", abstract: "See whether a node or a service answers through the mesh, and how fast.",
        discussion: """
            A service is asked for a TCP handshake by a session of this node that is granted it; a node, by UDP, at \
            the port at which nodes speak to each other. Nothing is opened for a ping: where policy connects nobody, it \
            says so, and nothing is sent. Exit code 0 means that every one was answered, 1 that some were \
            not, 2 that policy connects nobody.

            Examples:
              postern ping ledger
              postern ping node-b --count 10
            """)

    @Argument(help: "A service, a node, or the mesh address of a node.")
    var target: String

    @Option(name: [.short, .long], help: ArgumentHelp("How often, a second apart: 1 to 20.", valueName: "number"))
    var count = 3

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var socket: SocketOptions

    func validate() throws {
        let range = PingRequest.countRange
        guard range.contains(count) else {
            throw ValidationError("--count is from \(range.lowerBound) to \(range.upperBound)")
        }
    }

    func run() async throws {
        let request = LocalRequest.ping(PingRequest(target: target, count: count))
        // Each may take its second, and a session's namespace another moment.
        let answer = try socket.ask(request, within: .seconds(30 + 2 * count))
        guard case .ping(let report) = answer else { throw CommandFailure.wrongAnswer }
        let view = PingView(report: report, now: wallClock())
        Terminal.current.print(json ? try JSON.pretty(report) : view.text)
        if report.refusal != nil { throw ExitStatus.denied }
        if view.lost > 0 || report.roundTrips.isEmpty { throw ExitStatus.error }
    }
}

/// A ping as people read it.
struct PingView {
    let report: PingReport
    let now: Timestamp

    var lost: Int { report.roundTrips.count { $0 == nil } }

    var text: String {
        let head = "node `\(report.node)` at \(report.address)\n"
        let tunnels = report.tunnels.map { tunnel in
            "  by `\(tunnel.device)` to \(tunnel.endpoint ?? "an endpoint not known yet"), last handshake "
                + "\(age(tunnel.lastHandshake, now: now))\n"
        }
        return head + tunnels.joined() + (report.refusal.map { "not tried: \($0)\n" } ?? answers)
    }

    private var answers: String {
        let lines = report.roundTrips.enumerated().map { index, time in
            "  \(index + 1): \(time.map { "\(decimal($0)) ms" } ?? "no answer within 1 s")\n"
        }
        let times = report.roundTrips.compactMap(\.self)
        let means = report.means.map { " (\($0))" } ?? ""
        let count = "\(times.count) of \(report.roundTrips.count) answered\(means)"
        guard let least = times.min(), let most = times.max() else {
            return lines.joined() + "\(count): is the other node's posternd running, and its UDP port reachable?\n"
        }
        let mean = times.reduce(0, +) / Double(times.count)
        return lines.joined() + "\(count), least/mean/most \(decimal(least))/\(decimal(mean))/\(decimal(most)) ms\n"
    }

    /// Two digits behind the point.
    private func decimal(_ number: Double) -> String {
        guard number.isFinite, number >= 0, number < 1e9 else { return "?" }
        let hundredths = Int((number * 100).rounded())
        let rest = hundredths % 100
        return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
    }
}
