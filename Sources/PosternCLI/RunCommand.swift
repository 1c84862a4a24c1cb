import ArgumentParser
import CoordinationAPI
import Foundation
import Glibc
import Mesh

/// `postern run`
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run a command as an agent, in a session of its own.",
        usage: "postern run --agent <agent> [--user <user>] [--socket <path>] -- <command> ...",
        discussion: """
            The command gets the agent's own address and key on the mesh, reaches what policy allows and nothing else, \
            and loses both when it ends. Its exit code is passed on: 127 and 126 for a \
            command that is not there or cannot be run, as in a shell; 125 means that Postern refused or lost it. \
            The session's id, and what Postern has to say, go to standard error.

            Examples:
              postern run --agent writer -- python3 agent.py
              sudo postern run --agent crew/reader --user ana -- bash
            """)

    @Option(help: ArgumentHelp("The agent as which the command runs.", valueName: "agent"), transform: name)
    var agent: AgentName

    @Option(
        help: ArgumentHelp("The user or uid that owns the process. For root only, and never root.", valueName: "user"))
    var user: String?

    @OptionGroup var socket: SocketOptions

    @Argument(parsing: .postTerminator, help: "What to run, after `--`.")
    var command: [String] = []

    func validate() throws {
        guard !command.isEmpty else { throw ValidationError("say what to run, after `--`") }
    }

    func run() async throws {
        let request = RunRequest(
            agent: agent, command: command, environment: ProcessInfo.processInfo.environment,
            directory: FileManager.default.currentDirectoryPath, user: try user.map(Self.userID))
        let signals = try SignalQueue()
        var conversation = RunConversation(connection: try socket.connect())
        throw try conversation.run(request, signals: signals)
    }

    private static func userID(_ text: String) throws(CommandFailure) -> UInt32 {
        if let number = UInt32(text) { return number }
        guard let entry = unsafe getpwnam(text) else { throw CommandFailure("there is no user `\(text)` here") }
        return unsafe entry.pointee.pw_uid
    }
}

/// The talk with `posternd` while a command runs.
struct RunConversation: ~Copyable {
    private var connection: LocalConnection

    init(connection: consuming LocalConnection) { self.connection = connection }

    /// Until the command has ended: its exit code.
    mutating func run(_ request: RunRequest, signals: borrowing SignalQueue) throws(CommandFailure) -> ExitStatus {
        try connection.send(.run(request), descriptors: [0, 1, 2])
        var session: SessionID?
        while true {
            while let answer = try connection.next() {
                switch answer {
                case .started(let id):
                    session = id
                    Terminal.current.complain("session \(id)")
                case .notice(let text): Terminal.current.complain(text)
                case .exited(let code): return ExitStatus(rawValue: code)
                case .failed(let message): throw CommandFailure(message)
                default: throw CommandFailure.wrongAnswer
                }
            }
            guard try wait(signals) else { throw Self.lost(session) }
        }
    }

    /// Waits for bytes, and hands on signals meanwhile; false when posternd hung up.
    private mutating func wait(_ signals: borrowing SignalQueue) throws(CommandFailure) -> Bool {
        var ready = [
            pollfd(fd: connection.descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: signals.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        guard unsafe poll(&ready, 2, -1) >= 0 || errno == EINTR else {
            throw CommandFailure("cannot wait for posternd: \(systemReason(errno))")
        }
        if ready[1].revents != 0 {
            for signal in signals.pending() { try connection.send(.signal(signal)) }
        }
        return ready[0].revents == 0 ? true : try connection.fill()
    }

    private static func lost(_ session: SessionID?) -> CommandFailure {
        guard let session else { return CommandFailure("posternd hung up before the command ran: its log may say why") }
        return CommandFailure(
            "the connection to posternd was lost; `postern session list` says whether session \(session) still runs")
    }
}
