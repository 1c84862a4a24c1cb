import ArgumentParser
package import CoordinationAPI
import Foundation
import Glibc
import Mesh

/// `postern run`
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run a command as an agent, in a session of its own.",
        usage:
            "postern run --agent <agent> [--user <user>] [--no-tty] [--as-root] [--kill | --no-kill] [--socket <path>] -- <command> ...",
        discussion: """
            The command gets the agent's own address and key on the mesh, reaches what policy allows and nothing else, \
            and loses both when it ends. Its exit code is passed on: 127 and 126 for a \
            command that is not there or cannot be run, as in a shell; 125 means that Postern refused or lost it. \
            At a terminal it gets a terminal of its own, \
            which is relayed. When the session ends before the command does, its network is cut, the reason is said on \
            standard error, and the command is killed, which is exit code 137; not with --no-kill, and not at a \
            terminal unless --kill is given. When posternd stops, the session runs on, and this command waits for posternd to come back. \
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

    @Flag(
        name: .customLong("no-tty"),
        help: "Give the command pipes in place of a terminal. So it is in any case where input or output is redirected."
    )
    var noTerminal = false

    @Flag(help: "Run the command as uid 0 of a user namespace in which nobody else is: root by name, without rights.")
    var asRoot = false

    @Option(
        name: .customLong("for"),
        help: ArgumentHelp(
            "With `me` the session runs for you, as policies and the audit log have it: your login proves it, which "
                + "`postern login` makes.", valueName: "me"))
    var person: Person?

    /// A person is proved, and so nobody else can be named.
    enum Person: String, ExpressibleByArgument, CaseIterable { case me }

    @Option(
        help: ArgumentHelp(
            "With `uid` the command runs as a user that nobody else on the machine is. What it makes in the working "
                + "directory belongs to its owner all the same.", valueName: "uid"))
    var isolate: SessionIsolation?

    @Flag(
        inversion: .prefixedNo,
        help: ArgumentHelp(
            "Whether the command is killed when the session ends, or runs on without a network.",
            discussion: "It is killed unless it is at a terminal."))
    var kill: Bool?

    @OptionGroup var socket: SocketOptions

    @Argument(parsing: .postTerminator, help: "What to run, after `--`.")
    var command: [String] = []

    func validate() throws {
        guard !command.isEmpty else { throw ValidationError("say what to run, after `--`") }
    }

    func run() async throws {
        // A command that reads no more is no reason for us to end.
        signal(SIGPIPE, SIG_IGN)
        let login = try person.map { _ throws(CommandFailure) in try Login.current() }
        let relay = try StreamRelay(withTerminal: !noTerminal)
        let request = RunRequest(
            agent: agent, command: command, environment: ProcessInfo.processInfo.environment,
            directory: FileManager.default.currentDirectoryPath, user: try user.map(Self.userID), asRoot: asRoot,
            isolation: isolate, login: login?.envelope, terminal: relay.terminal, kill: kill ?? (relay.terminal == nil))
        if let warning = LaterRun.warning(in: request.directory) { Terminal.current.complain(warning) }
        let signals = try SignalQueue()
        var conversation = try RunConversation(path: socket.path, relay: relay, login: login)
        throw try conversation.run(request, signals: signals)
    }

    private static func userID(_ text: String) throws(CommandFailure) -> UInt32 {
        if let number = UInt32(text) { return number }
        guard let entry = unsafe getpwnam(text) else { throw CommandFailure("there is no user `\(text)` here") }
        return unsafe entry.pointee.pw_uid
    }
}

extension SessionIsolation: ExpressibleByArgument {}
