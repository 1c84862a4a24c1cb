import CoordinationAPI
import Mesh

extension AdminChain {
    /// The chain among statements that a coordinator shows, if it starts with the first admin of our own admin file.
    init(shown envelopes: [Envelope], of mesh: MeshDomain, root: Fingerprint) throws(CommandFailure) {
        let links = envelopes.filter { Self.isAboutAdmins($0) }
        guard let key = links.lazy.compactMap({ Self.admin(in: $0) }).first(where: { $0.fingerprint == root }) else {
            throw CommandFailure("the coordinator does not show the statement of the first admin: nothing is signed")
        }
        do { self = try AdminChain(replaying: links, root: key, of: mesh) } catch {
            throw CommandFailure("the coordinator's chain of admins is not to be believed: \(error); nothing is signed")
        }
    }

    /// By what it says, whoever signed it.
    private static func statement(in envelope: Envelope) -> Statement? {
        try? JSON.decode(Document.self, from: Array(envelope.document.utf8)).statement
    }

    static func isAboutAdmins(_ envelope: Envelope) -> Bool {
        switch statement(in: envelope) {
        case .admin, .removal(.admin): true
        default: false
        }
    }

    private static func admin(in envelope: Envelope) -> SigningPublicKey? {
        guard case .admin(let statement) = statement(in: envelope) else { return nil }
        return statement.key
    }
}
