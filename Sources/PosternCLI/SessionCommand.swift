import ArgumentParser
import CoordinationAPI
import Mesh

/// `postern session`
struct SessionCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "session", abstract: "List sessions, end or extend one, or exchange its key.",
        subcommands: [List.self, SessionEndCommand.self, Extend.self, Rotate.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "List the sessions of this machine.",
            discussion: "`postern get sessions` lists those of the whole mesh.")

        @Flag(help: "Print JSON.")
        var json = false

        @OptionGroup var socket: SocketOptions

        func run() async throws {
            guard case .status(let status) = try ask() else { throw CommandFailure.wrongAnswer }
            let table = sessionTable(status.sessions, now: wallClock())
            Terminal.current.print(json ? try JSON.pretty(status.sessions) : table.text)
        }

        private func ask() throws(CommandFailure) -> LocalResponse {
            do { return try socket.ask(.status) } catch {
                guard error.isAbsence else { throw error }
                throw CommandFailure(
                    "\(error) Without it nobody lists the sessions of this machine; `postern get sessions` asks the "
                        + "coordinator")
            }
        }
    }

    struct Extend: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "extend", abstract: "Renew a session's lease now, to its full length.",
            discussion: """
                posternd renews its sessions by itself while policy allows and the agent is enabled. This does it at once: \
                before a machine is without its coordinator for long, or without posternd. No session outlives its \
                longest duration.
                """)

        @Argument(help: "The id that `postern run` and `postern session list` show.", transform: name)
        var id: SessionID

        @OptionGroup var socket: SocketOptions

        func run() async throws {
            guard case .extended(let lease) = try ask() else { throw CommandFailure.wrongAnswer }
            let now = wallClock()
            Terminal.current.print(
                "session \(id) lives until \(lease.expires), for \(Span(lease.expires - now)), and while it is renewed "
                    + "until \(lease.maximum)")
        }

        private func ask() throws(CommandFailure) -> LocalResponse {
            do { return try socket.ask(.extendSession(id), within: .seconds(60)) } catch {
                guard error.isAbsence else { throw error }
                throw CommandFailure(
                    "\(error) Nobody else can extend a session, for its node signs that it goes on: it ends with its "
                        + "lease, 15 minutes after it was renewed last")
            }
        }
    }

    struct Rotate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "rotate", abstract: "Exchange a session's WireGuard key for a new one.",
            discussion: """
                Connections of the session go on; they may stand still for a moment. posternd does the same by itself when
                a key is an hour old.
                """)

        @Argument(help: "The id that `postern run` and `postern session list` show.", transform: name)
        var id: SessionID

        @OptionGroup var socket: SocketOptions

        func run() async throws {
            guard case .rotated(let key) = try socket.ask(.rotateSession(id), within: .seconds(60)) else {
                throw CommandFailure.wrongAnswer
            }
            Terminal.current.print("session \(id) has the key \(key)")
        }
    }
}
