import ArgumentParser
import Glibc
import Mesh
import PosternCoordinator

struct Init: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a new mesh: its CA, its addresses, its database and its first admin.",
        discussion: """
            The state directory must be new or empty; nothing is ever overwritten. It will hold

              ca/ca.key            the CA's private key: whoever has it is the mesh
              ca/ca.pem            the CA's certificate
              coordinator.sqlite   the registry
              admin.json           the first admin's certificate and key: move it to the admin's machine
            """)

    @Option(help: ArgumentHelp("The directory to make.", valueName: "directory"))
    var state: String

    @Option(help: ArgumentHelp("The name of the mesh, a DNS name of yours.", valueName: "name"), transform: meshName)
    var mesh: MeshDomain

    @Option(
        help: ArgumentHelp("Where nodes and admins will reach it: https://HOST:PORT.", valueName: "url"),
        transform: coordinatorURL)
    var url: CoordinatorURL

    @Option(help: ArgumentHelp("The first admin's name.", valueName: "name"), transform: adminName)
    var admin: UserName = UserName(unchecked: "admin")

    func run() async throws {
        try await reportingErrors {
            umask(0o077)
            let state = StateDirectory(self.state)
            let made = try Founding.found(mesh, at: url, admin: admin, in: state, now: systemTime())
            print(
                """
                The mesh `\(mesh)` is made, with the addresses \(made.pool.v4Text) and \(made.pool.v6Text).
                  CA certificate   \(made.ca)
                  admin `\(admin)`   \(made.admin)

                Next:
                  1. Serve it:          postern-coordinator serve --state \(state.path) --listen '[::]:\(url.port)'
                  2. Move the admin's file to the admin's machine, as ~/.config/postern/admin.json; it rules the mesh:
                                        \(state.adminFile)
                  3. For each machine:  postern join-token create --output FILE
                """)
        }
    }
}

private func meshName(_ text: String) throws -> MeshDomain { try usage { try MeshDomain(text) } }
private func adminName(_ text: String) throws -> UserName { try usage { try UserName(text) } }

private func coordinatorURL(_ text: String) throws -> CoordinatorURL {
    guard let url = CoordinatorURL(text) else {
        throw ValidationError(
            "`\(text)` is not https://HOST:PORT, with a DNS name, an IPv4 address, or an IPv6 address in brackets")
    }
    return url
}

private func usage<Value>(_ read: () throws -> Value) throws -> Value {
    do { return try read() } catch { throw ValidationError("\(error)") }
}
