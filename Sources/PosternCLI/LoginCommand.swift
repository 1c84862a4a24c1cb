import ArgumentParser
import CoordinationAPI
import Crypto
import Foundation
import Glibc
import Mesh

/// `postern login`
struct LoginCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "login", abstract: "Prove who you are, for a day: `postern run --for me` relies on it.",
        discussion: """
            Makes a key that stands for you for a day at most, signed by your own, and keeps both in \
            ~/.config/postern/login.json (or below XDG_CONFIG_HOME). Your own key, the admin file, can be put away \
            until tomorrow. Nobody else is asked: neither the coordinator nor a node can stand for you.

            Examples:
              postern login --admin-file /media/key/ann.json
              postern login --valid 8h
              postern login show
            """,
        subcommands: [Make.self, Show.self, Forget.self], defaultSubcommand: Make.self)

    struct Make: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "make", abstract: "Make a login.")

        @Option(help: ArgumentHelp("How long it is valid: 1m to 24h.", valueName: "span"))
        var valid = Span(seconds: 86_400)

        @Flag(help: "Print JSON.")
        var json = false

        @OptionGroup var admin: AdminOptions

        func validate() throws {
            guard valid.seconds >= 60, .seconds(valid.seconds) <= LoginStatement.longest else {
                throw ValidationError("--valid is from 1m to 24h")
            }
        }

        func run() async throws {
            let access = try admin.load()
            let (key, now) = (P256.Signing.PrivateKey(), wallClock())
            let login = try access.login(with: key.publicKey, from: now, until: now + .seconds(valid.seconds))
            let file = LoginFile(mesh: access.file.mesh, login: login, key: key.pemRepresentation)
            let path = try Login.path()
            let folder = (path as NSString).deletingLastPathComponent
            do {
                try FileManager.default.createDirectory(
                    atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            } catch { throw CommandFailure("cannot make `\(folder)`: \(error.localizedDescription)") }
            try SecretFile.replace(path, with: try JSON.encode(file))
            try LoginView(Login(path: path)).print(json: json)
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "show", abstract: "Show whose login is kept here, and until when.")

        @Flag(help: "Print JSON.")
        var json = false

        func run() async throws { try LoginView(.current()).print(json: json) }
    }

    struct Forget: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "forget", abstract: "Take the login off this machine; sessions that run go on.")

        func run() async throws {
            let path = try Login.path()
            guard unsafe unlink(path) == 0 || errno == ENOENT else {
                throw CommandFailure("cannot remove `\(path)`: \(systemReason(errno))")
            }
            Terminal.current.print("no login is kept here")
        }
    }
}

/// A login without its secret.
private struct LoginView: Encodable {
    let person: UserName
    let mesh: MeshDomain
    let notAfter: Timestamp

    init(_ login: Login) {
        (person, mesh, notAfter) = (login.statement.person, login.mesh, login.statement.notAfter)
    }

    func print(json: Bool) throws {
        let left = Span(notAfter - wallClock())
        Terminal.current.print(
            json ? try JSON.pretty(self) : "you are `\(person)` in mesh `\(mesh)` until \(notAfter), for \(left)")
    }
}
