import ArgumentParser
import CoordinationAPI
import Mesh

/// `postern why`
struct WhyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "why", abstract: "Say whether an agent may do something, and because of what.",
        usage: "postern why --agent <agent> connect <service> [--json] [--socket <path>]",
        discussion: """
            Exit code 0 means allowed, 2 denied.

            Example:
              postern why --agent writer connect ledger
            """)

    @Option(help: ArgumentHelp("The agent that would do it.", valueName: "agent"), transform: name)
    var agent: AgentName

    @Argument(help: "What it would do: `connect`.")
    var action: String

    @Argument(help: "The service to which it would be done.", transform: name)
    var service: ServiceName

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var socket: SocketOptions

    func run() async throws {
        let answer = try socket.ask(.why(agent: agent, action: action, service: service))
        guard case .explanation(let explanation) = answer else { throw CommandFailure.wrongAnswer }
        Terminal.current.print(json ? try JSON.pretty(explanation) : printable(explanation.text))
        guard explanation.allowed else { throw ExitStatus.denied }
    }
}

extension CommandFailure {
    static let wrongAnswer = CommandFailure("posternd's answer is to another question: are both of one version?")
}
