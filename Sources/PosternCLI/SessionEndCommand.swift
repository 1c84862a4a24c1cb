import ArgumentParser
import CoordinationAPI
import Foundation
import Glibc
import Mesh

/// `postern session end`
struct SessionEndCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "end", abstract: "End sessions: their keys, their addresses and their connections.",
        usage: "postern session end (<id> | --agent <agent> | --all) [--socket <path> | --admin-file <file>]",
        discussion: """
            Asks posternd of this machine, which does it with the coordinator away as well, and says after how long no \
            packet passed any more; with --admin-file it asks the coordinator, for sessions of any machine. A session \
            is ended by the user who started it, by root, or by an admin.

            Where posternd does not run, root can name a session by its id: its processes are killed.

            Examples:
              postern session end 00112233445566778899aabbccddeeff
              postern session end --agent crew
            """)

    @Argument(help: "The id that `postern run` and `postern session list` show.", transform: name)
    var id: SessionID?

    @Option(
        help: ArgumentHelp("Every session of an agent, and of those below it.", valueName: "agent"), transform: name)
    var agent: AgentName?

    @Flag(help: "Every session that you may end. With --agent, those of the agent, as without it.")
    var all = false

    @OptionGroup var socket: SocketOptions
    @OptionGroup var admin: AdminOptions

    func validate() throws {
        guard (id != nil) != (agent != nil || all) else {
            throw ValidationError("say which: the id of one session, --agent, or --all")
        }
        guard socket.socket == nil || admin.adminFile == nil else {
            throw ValidationError("--socket asks posternd and --admin-file the coordinator: choose one")
        }
    }

    func run() async throws {
        guard admin.adminFile == nil else { return try await endAnywhere() }
        do { try endHere() } catch let failure as CommandFailure where failure.isAbsence {
            try endWithoutDaemon(failure)
        }
    }

    private func isMeant(_ candidate: AgentName) -> Bool {
        guard let agent else { return true }
        return sequence(first: candidate, next: \.parent).contains(agent)
    }
}

// MARK: - By posternd

extension SessionEndCommand {
    private func endHere() throws {
        let wanted = try wantedHere()
        if wanted.isEmpty { Terminal.current.print("no session of yours runs here that is meant") }
        var failures: [String] = []
        for id in wanted {
            do throws(CommandFailure) { try end(id) } catch {
                if self.id != nil || error.isAbsence { throw error }
                failures.append("session \(id): \(error)")
            }
        }
        if !failures.isEmpty { throw CommandFailure(failures.joined(separator: "\n")) }
    }

    private func wantedHere() throws -> [SessionID] {
        if let id { return [id] }
        guard case .status(let status) = try socket.ask(.status) else { throw CommandFailure.wrongAnswer }
        let user = geteuid()
        return status.sessions.filter { isMeant($0.agent) && (user == 0 || $0.owner == user) }.map(\.id)
    }

    private func end(_ id: SessionID) throws(CommandFailure) {
        guard case .ended(let ending) = try socket.ask(.endSession(id)) else { throw CommandFailure.wrongAnswer }
        if let problem = ending.problem {
            throw CommandFailure("the session has ended, but its network may not be cut: \(problem)")
        }
        Terminal.current.print(
            "session \(id) has ended: its last packet passed within \(max(1, ending.cutAfterMilliseconds)) ms")
    }
}

// MARK: - By others

extension SessionEndCommand {
    private func endAnywhere() async throws {
        let access = try admin.load()
        let (id, isMeant) = (id, isMeant)
        try await CoordinatorClient.with(access) { client in
            let sessions = try await client.registry().sessions
            let wanted = id.map { [$0] } ?? sessions.filter { isMeant($0.agent) }.map(\.id)
            for id in wanted {
                _ = try await client.endSession(id)
                Terminal.current.print("session \(id) has ended")
            }
            if wanted.isEmpty { Terminal.current.print("no session of the mesh is meant") }
        }
    }

    /// What can be done by root alone, who has no need of a daemon to kill a process.
    private func endWithoutDaemon(_ failure: CommandFailure) throws {
        guard let id else {
            throw CommandFailure(
                "\(failure) Without it nobody says whose sessions run here; none is renewed, so each ends with its lease, "
                    + "within 15 minutes. Root ends one by its id")
        }
        guard geteuid() == 0 else {
            throw CommandFailure(
                "\(failure) Without it only root can end session `\(id)`, which is renewed no more, and ends with its "
                    + "lease within 15 minutes")
        }
        let orphans = try OrphanedSessions()
        try orphans.kill(id)
        Terminal.current.print("session \(id) has ended: its processes were killed")
        Terminal.current.complain(
            "posternd does not run here, so other nodes hear of it when it does, or drop the session with its lease")
    }
}
