package import ArgumentParser
import Glibc

/// `postern`: what people and scripts type.
///
/// Commands about this machine speak to `posternd` by its Unix socket; commands about the mesh speak to the
/// coordinator by HTTPS, with the admin's own certificate and key.
package struct PosternCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "postern",
        abstract: "Gives agents an identity of their own on the mesh, and lets them do only what policy says.",
        discussion: """
            On a machine of the mesh:
              postern status
              postern run --agent writer -- python3 agent.py
              postern why --agent writer connect ledger
              postern doctor

            As an admin (POSTERN_ADMIN_FILE, or --admin-file):
              postern agent create writer --owner ana --node node-a
              postern service add ledger --node node-b --port 8080
              postern policy apply demo.cedar
              postern who-can connect ledger

            Exit codes: 0 done or allowed, 1 error, 2 denied, 3 not valid, 4 not known yet, 125 when `run` was refused; \
            else `run` passes on the command's own.
            """,
        version: "0.1.0",
        subcommands: [
            RunCommand.self, StatusCommand.self, WhyCommand.self, WhoCanCommand.self, WhatCanCommand.self,
            SessionCommand.self, UpCommand.self,
            DownCommand.self, WhoisCommand.self, PingCommand.self, DoctorCommand.self, GetCommand.self,
            AgentCommand.self, ServiceCommand.self, NodeCommand.self, AdminCommand.self, PolicyCommand.self,
            JoinTokenCommand.self, AuditCommand.self, LoginCommand.self,
        ])

    package init() {}

    /// Runs the command of this process, and ends it.
    package static func start() async -> Never {
        let code = await perform(Array(CommandLine.arguments.dropFirst()))
        Glibc.exit(code.rawValue)
    }

    /// Runs one command; what went wrong is a sentence on standard error.
    static func perform(_ arguments: [String]) async -> ExitStatus {
        // A script must be able to tell a refusal of ours from the exit code of the command that it runs.
        let failed: ExitStatus = arguments.first == RunCommand._commandName ? .refused : .error
        do {
            var command = try parseAsRoot(arguments)
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
            return .success
        } catch let status as ExitStatus {
            return status
        } catch let failure as CommandFailure {
            Terminal.current.complain(failure.message)
            return failed
        } catch  where exitCode(for: error) == .success {
            Terminal.current.print(message(for: error))
            return .success
        } catch {
            let text = fullMessage(for: error)
            Terminal.current.complain(text.hasPrefix("Error: ") ? String(text.dropFirst(7)) : text)
            return failed
        }
    }
}
