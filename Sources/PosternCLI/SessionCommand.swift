import ArgumentParser
import CoordinationAPI
import Mesh

/// `postern session`
struct SessionCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "session", abstract: "List sessions, end one, or exchange its key.",
        subcommands: [List.self, End.self, Rotate.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "List the sessions of this machine.",
            discussion: "`postern get sessions` lists those of the whole mesh.")

        @Flag(help: "Print JSON.")
        var json = false

        @OptionGroup var socket: SocketOptions

        func run() async throws {
            guard case .status(let status) = try socket.ask(.status) else { throw CommandFailure.wrongAnswer }
            let table = sessionTable(status.sessions, now: wallClock())
            Terminal.current.print(json ? try JSON.pretty(status.sessions) : table.text)
        }
    }

    struct End: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "end", abstract: "End a session: its key, its address and its connections.",
            discussion: """
                Asks posternd of this machine; with --admin-file it asks the coordinator, for a session of any machine.

                Example:
                  postern session end 00112233445566778899aabbccddeeff
                """)

        @Argument(help: "The id that `postern run` and `postern session list` show.", transform: name)
        var id: SessionID

        @OptionGroup var socket: SocketOptions
        @OptionGroup var admin: AdminOptions

        func validate() throws {
            guard socket.socket == nil || admin.adminFile == nil else {
                throw ValidationError("--socket asks posternd and --admin-file the coordinator: choose one")
            }
        }

        func run() async throws {
            if admin.adminFile == nil {
                guard case .ended = try socket.ask(.endSession(id)) else { throw CommandFailure.wrongAnswer }
            } else {
                let access = try admin.load()
                _ = try await CoordinatorClient.with(access) { try await $0.endSession(id) }
            }
            Terminal.current.print("session \(id) has ended")
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
