import CoordinationAPI
import Identity
import Mesh

/// The newest checkpoint as the coordinator keeps it: in a file beside its keys, not in the database.
///
/// Whoever writes the database does not write this, so what he adds, withholds or brings back is seen.
struct CheckpointFile: Codable, Equatable, Sendable {
    let kind: String
    /// The first admin's key, with which the chain of admins starts.
    let root: SigningPublicKey
    /// A ``Checkpoint``, signed by the CA's key.
    let envelope: Envelope

    private static let kindText = "postern-checkpoint"

    private init(root: SigningPublicKey, envelope: Envelope) {
        (self.kind, self.root, self.envelope) = (Self.kindText, root, envelope)
    }

    /// Signs a checkpoint.
    static func sign(
        _ checkpoint: Checkpoint, root: SigningPublicKey, ca: CertificateAuthority, now: Timestamp
    ) throws(EnvelopeError) -> SignedCheckpoint {
        let document = Document(mesh: ca.mesh, madeAt: now, statement: .checkpoint(checkpoint))
        let envelope = try Envelope(signing: document, with: ca.key.privateKey)
        return SignedCheckpoint(
            checkpoint: checkpoint, signedAt: now, file: CheckpointFile(root: root, envelope: envelope))
    }

    /// Reads the file and checks its signature. Whether it is fresh does not matter to the coordinator itself.
    static func read(_ path: String, ca: CertificateAuthority) throws -> SignedCheckpoint {
        let text = try PrivateFile.read(path)
        guard let file = try? JSON.decode(CheckpointFile.self, from: Array(text.utf8)), file.kind == kindText else {
            throw StateError(.read, path, "it is not a checkpoint")
        }
        let document: Document
        do { document = try file.envelope.document(signedByOneOf: [ca.key.publicKey], of: ca.mesh) } catch {
            throw StateError(.read, path, "it is not a checkpoint that this mesh's CA signed: \(error)")
        }
        guard case .checkpoint(let checkpoint) = document.statement else {
            throw StateError(.read, path, "it is not a checkpoint")
        }
        return SignedCheckpoint(checkpoint: checkpoint, signedAt: document.madeAt, file: file)
    }
}

/// A checkpoint that the CA's key signed.
struct SignedCheckpoint: Equatable, Sendable {
    let checkpoint: Checkpoint
    let signedAt: Timestamp
    let file: CheckpointFile

    var envelope: Envelope { file.envelope }

    /// Writes it beside the file it will replace: what can fail, fails before anything is changed.
    func prepare(_ path: String) throws(StateError) -> PrivateFile.Replacement {
        let text: String
        do { text = try JSON.pretty(file) + "\n" } catch { throw StateError(.write, path, "\(error)") }
        return try PrivateFile.prepare(text, for: path)
    }
}
