import ArgumentParser
import CoordinationAPI
import Crypto
import Foundation
import Identity
import Mesh

/// `--admin-file`, and what stands in its place.
struct AdminOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The file with an admin's key. Without it: POSTERN_ADMIN_FILE, then ~/.config/postern/admin.json.",
            valueName: "file"))
    var adminFile: String?

    func load() throws(CommandFailure) -> AdminAccess {
        try AdminAccess(path: Self.path(option: adminFile, environment: ProcessInfo.processInfo.environment))
    }

    static func path(option: String?, environment: [String: String]) throws(CommandFailure) -> String {
        if let path = option ?? environment["POSTERN_ADMIN_FILE"].flatMap({ $0.isEmpty ? nil : $0 }) { return path }
        guard let home = environment["HOME"], !home.isEmpty else {
            throw CommandFailure("no admin file is named: use --admin-file or POSTERN_ADMIN_FILE")
        }
        return home + "/.config/postern/admin.json"
    }
}

/// An admin: the coordinator he speaks to, and the key with which he signs changes.
struct AdminAccess: Sendable {
    let path: String
    let file: AdminFile
    private let key: P256.Signing.PrivateKey

    init(path: String) throws(CommandFailure) {
        let text = try SecretFile.read(path, upTo: AdminFile.maximumLength)
        self.path = path
        do {
            file = try AdminFile(parsing: text)
        } catch { throw CommandFailure("cannot use `\(path)`: \(error)") }
        guard file.url.hasPrefix("https://") else {
            throw CommandFailure("cannot use `\(path)`: its coordinator is not at an https:// address")
        }
        guard let key = try? P256.Signing.PrivateKey(pemRepresentation: file.key) else {
            throw CommandFailure("cannot use `\(path)`: the key in it is not a P-256 key in PEM")
        }
        self.key = key
    }

    /// This admin's own key, as statements name it.
    var publicKey: SigningPublicKey { SigningPublicKey(key.publicKey) }

    /// Of the first admin's key: this one is the first where the file names no other.
    var root: Fingerprint { file.root ?? publicKey.fingerprint }

    /// A login of this admin's, whose key stands for him until a moment.
    func login(with key: P256.Signing.PublicKey, from now: Timestamp, until end: Timestamp) throws(CommandFailure)
        -> Envelope
    {
        do {
            guard case .admin(let name) = try EncodedCertificate(pem: file.certificate).id.role else {
                throw CommandFailure("it is not the certificate of a person")
            }
            let login = LoginStatement(person: name, key: SigningPublicKey(key), notAfter: end)
            return try Envelope(
                signing: Document(mesh: file.mesh, madeAt: now, statement: .login(login)), with: self.key)
        } catch { throw CommandFailure("cannot use `\(path)`: \(error)") }
    }

    /// The changes as this admin signs them: all of one moment.
    func sign(_ statements: [Statement], at now: Timestamp) throws(CommandFailure) -> ChangeRequest {
        do {
            return ChangeRequest(
                documents: try statements.map { statement throws(EnvelopeError) in
                    try Envelope(signing: Document(mesh: file.mesh, madeAt: now, statement: statement), with: key)
                })
        } catch { throw CommandFailure("cannot sign the change: \(error)") }
    }
}
