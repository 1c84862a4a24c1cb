import CoordinationAPI
import Mesh

/// What an admin says in another one's place, so that it goes on when that one's signature counts no more.
///
/// The coordinator shows the statements, and it is not believed: each must bear the signature of somebody in the chain
/// of admins, which starts with the key that our own admin file names.
struct Handover {
    let chain: AdminChain
    private let statements: [(statement: Statement, signers: Set<SigningPublicKey>)]

    init(_ envelopes: [Envelope], of mesh: MeshDomain, root: Fingerprint) throws(CommandFailure) {
        chain = try AdminChain(shown: envelopes, of: mesh, root: root)
        var statements: [(statement: Statement, signers: Set<SigningPublicKey>)] = []
        for envelope in envelopes where !AdminChain.isAboutAdmins(envelope) {
            let document: Document
            do { document = try chain.document(in: envelope) } catch {
                throw CommandFailure(
                    "the coordinator shows a statement that no admin stands behind: \(error); nothing is signed")
            }
            // One that is named and did not sign is no reason to sign for him, but none to worry either.
            let signers = chain.admins.values.filter { key in
                (try? envelope.document(signedByOneOf: [key.key], of: mesh)) != nil
            }
            statements.append((document.statement, Set(signers)))
        }
        self.statements = statements
    }

    /// What an admin alone stands behind, and then that he goes.
    func statements(removing name: UserName) throws(CommandFailure) -> [Statement] {
        guard let key = chain.admins[name] else { throw CommandFailure("there is no admin `\(name)`") }
        guard chain.admins.count > 1 else {
            throw CommandFailure("admin `\(name)` is the last one and cannot be removed")
        }
        return statements.filter { $0.signers == [key] }.map(\.statement) + [.removal(.admin(name))]
    }
}
