import CoordinationAPI
import Crypto
import Foundation
import Mesh

/// A person's login, as `postern login` keeps it.
struct Login: Sendable {
    let mesh: MeshDomain
    let statement: LoginStatement
    /// What the person's own key signed.
    let envelope: Envelope
    private let key: P256.Signing.PrivateKey

    /// The login of whoever calls; a lapsed one is an error.
    static func current() throws(CommandFailure) -> Login {
        let path = try path()
        guard FileManager.default.fileExists(atPath: path) else {
            throw CommandFailure("you have no login here: `postern login` makes one")
        }
        let login = try Login(path: path)
        guard wallClock() < login.statement.notAfter else {
            throw CommandFailure("your login ended at \(login.statement.notAfter): `postern login` makes another")
        }
        return login
    }

    init(path: String) throws(CommandFailure) {
        let text = try SecretFile.read(path, upTo: LoginFile.maximumLength)
        do {
            let file = try LoginFile(parsing: text)
            (mesh, envelope) = (file.mesh, file.login)
            key = try P256.Signing.PrivateKey(pemRepresentation: file.key)
            // That the person signed it is the nodes' to check.
            let document = try JSON.decode(Document.self, from: Array(envelope.document.utf8))
            guard case .login(let statement) = document.statement,
                statement.key == SigningPublicKey(key.publicKey)
            else { throw MessageError(reason: "it holds no login of its key") }
            self.statement = statement
        } catch let error as MessageError {
            throw CommandFailure("cannot use `\(path)`: \(error)")
        } catch { throw CommandFailure("cannot use `\(path)`: the key in it is not a P-256 key in PEM") }
    }

    /// That the person stands behind one session.
    func sign(_ presence: PresenceStatement, at now: Timestamp) throws(CommandFailure) -> Envelope {
        do {
            return try Envelope(
                signing: Document(mesh: mesh, madeAt: now, statement: .presence(presence)), with: key)
        } catch { throw CommandFailure("cannot sign for the session: \(error)") }
    }

    /// Beside the admin file: `$XDG_CONFIG_HOME/postern/login.json`, else below `~/.config`.
    static func path(
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(CommandFailure) -> String {
        if let folder = environment["XDG_CONFIG_HOME"], folder.hasPrefix("/") { return folder + "/postern/login.json" }
        guard let home = environment["HOME"], home.hasPrefix("/") else {
            throw CommandFailure("there is no place for a login: HOME is not set")
        }
        return home + "/.config/postern/login.json"
    }
}
