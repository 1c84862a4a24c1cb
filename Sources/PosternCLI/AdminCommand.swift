import ArgumentParser
import CoordinationAPI
import Crypto
import Glibc
import Identity
import Mesh

/// `postern admin`
struct AdminCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "admin", abstract: "Say who may change the mesh.",
        discussion: """
            Each admin is a key of his own, and a statement signed by an earlier admin; nodes check the whole chain \
            from the first admin's key, which stood in their join token. Who holds the coordinator cannot make an admin.
            """,
        subcommands: [List.self, Add.self, Remove.self, Renew.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "List the admins.")

        @Flag(help: "Print JSON.")
        var json = false

        @OptionGroup var admin: AdminOptions

        func run() async throws {
            let access = try admin.load()
            let admins = try await CoordinatorClient.with(access) { try await $0.registry() }.admins
            let own = access.publicKey.fingerprint
            let table = Table(
                headers: ["NAME", "KEY", "YOU"],
                rows: admins.map { [$0.name.description, $0.key.description, $0.key == own ? "yes" : ""] })
            Terminal.current.print(json ? try JSON.pretty(admins) : table.text)
        }
    }

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "add", abstract: "Make another admin.",
            discussion: """
                Makes a key and a certificate for him, and writes both to a file of mode 0600 that must not be there \
                yet. Carry it unseen to his machine, as ~/.config/postern/admin.json, and delete it here: who has it \
                is that admin. A name that was an admin's and was removed is not given again.

                Example:
                  postern admin add bob --output bob.json
                """)

        @Argument(help: "The person's name.", transform: name)
        var person: UserName

        @Option(help: ArgumentHelp("The file to make.", valueName: "file"))
        var output: String

        @OptionGroup var admin: AdminOptions

        func run() async throws {
            let access = try admin.load()
            // The file first: an admin whose key cannot be written should not be made.
            let file = try SecretFile.create(output)
            do {
                let text = try await make(person, by: access)
                try SecretFile.write(Array((text + "\n").utf8), to: file, path: output)
                close(file)
            } catch {
                close(file)
                unsafe unlink(output)
                throw error
            }
            Terminal.current.print(
                "admin `\(person)` is made, and `\(output)` makes whoever has it that admin: carry it there unseen, "
                    + "then delete it")
        }

        /// The text of the new admin's file.
        private func make(_ person: UserName, by access: AdminAccess) async throws -> String {
            let key = SigningKey()
            let statement = Statement.admin(AdminStatement(name: person, key: SigningPublicKey(key.publicKey)))
            let change = try access.sign([statement], at: wallClock())
            let request = try AdminCertificateRequest(for: person, of: access.file.mesh, key: key)
            let certificate = try await CoordinatorClient.with(access) { client in
                _ = try await client.change(change)
                do { return try await client.adminCertificate(request).certificate } catch {
                    throw CommandFailure(
                        "\(error); admin `\(person)` is made but has no certificate, and his key is lost: "
                            + "`postern admin remove \(person)`")
                }
            }
            let file = access.file
            return try JSON.pretty(
                AdminFile(
                    mesh: file.mesh, url: file.url, ca: file.ca, certificate: certificate, key: key.pem,
                    root: access.root))
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "remove", abstract: "Take an admin's say away.",
            discussion: """
                His signature counts no more anywhere from then on. What he said of agents, services, policies and nodes \
                goes on: you sign it again, in the same change. The last admin cannot be removed.

                Example:
                  postern admin remove bob
                """)

        @Argument(help: "The person's name.", transform: name)
        var person: UserName

        @OptionGroup var admin: AdminOptions

        func run() async throws {
            let access = try admin.load()
            let statements = try await CoordinatorClient.with(access) { client in
                let shown = try await client.statements().statements
                let handover = try Handover(shown, of: access.file.mesh, root: access.root)
                let statements = try handover.statements(removing: person)
                let change = try access.sign(statements, at: wallClock())
                _ = try await client.change(change)
                return statements
            }
            let count = statements.count - 1
            let words = count == 0 ? "" : "; you signed \(count) of his statements again"
            Terminal.current.print("admin `\(person)` is removed\(words)")
        }
    }

    struct Renew: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "renew", abstract: "Get a new certificate for your own key; it lasts a year.",
            discussion: "The admin file is replaced; the key in it stays.")

        @OptionGroup var admin: AdminOptions

        func run() async throws {
            let access = try admin.load()
            let key = try SigningKey(pem: access.file.key)
            let certificate = try await CoordinatorClient.with(access) { client in
                let own = access.publicKey.fingerprint
                guard let person = try await client.registry().admins.first(where: { $0.key == own })?.name else {
                    throw CommandFailure("the coordinator does not count the key in your admin file among the admins'")
                }
                let request = try AdminCertificateRequest(for: person, of: access.file.mesh, key: key)
                return try await client.adminCertificate(request).certificate
            }
            let file = access.file
            let text = try JSON.pretty(
                AdminFile(
                    mesh: file.mesh, url: file.url, ca: file.ca, certificate: certificate, key: file.key,
                    root: file.root))
            try SecretFile.replace(access.path, with: Array((text + "\n").utf8))
            Terminal.current.print("`\(access.path)` has a new certificate")
        }
    }
}

extension AdminCertificateRequest {
    /// For a key that we hold, which the request's signature proves.
    fileprivate init(for person: UserName, of mesh: MeshDomain, key: SigningKey) throws(CommandFailure) {
        do {
            let id = SPIFFEID(mesh: mesh, role: .admin(person))
            self.init(name: person, request: try CertificateRequest.make(with: key, for: id))
        } catch { throw CommandFailure("cannot ask for a certificate: \(error)") }
    }
}
