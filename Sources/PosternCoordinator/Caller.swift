import CoordinationAPI
import Crypto
import Identity
import Mesh
import NIOCore
import NIOSSL

/// Who stands on the other side of a connection.
enum Caller: Sendable, CustomStringConvertible {
    case node(NodeName, key: P256.Signing.PublicKey, expires: Timestamp)
    case admin(UserName)

    var description: String {
        switch self {
        case .node(let name, _, _): "node `\(name)`"
        case .admin(let name): "admin `\(name)`"
        }
    }

    func node() throws(Refusal) -> (name: NodeName, key: P256.Signing.PublicKey, expires: Timestamp) {
        guard case .node(let name, let key, let expires) = self else {
            throw .forbidden("only a node may ask for this")
        }
        return (name, key, expires)
    }

    /// Nil for an admin.
    var nodeName: NodeName? { if case .node(let name, _, _) = self { name } else { nil } }

    func admin() throws(Refusal) -> UserName {
        guard case .admin(let name) = self else { throw .forbidden("only an admin may ask for this") }
        return name
    }
}

/// Tells who calls from the certificate of a connection.
///
/// TLS checked that the CA issued it and that the caller has its key. Here it is checked once more, at each request:
/// a connection may outlive its certificate, and a certificate the registration of its holder.
struct CallerCheck: Sendable {
    let anchor: TrustAnchor
    let memory: Memory

    func caller(on channel: any Channel, now: Timestamp) async throws -> Caller {
        guard let presented = try await channel.nioSSL_peerCertificate().get() else {
            throw Refusal.unauthenticated("this needs the certificate of a node or an admin")
        }
        let verified: VerifiedCertificate
        do {
            let certificate = try EncodedCertificate(der: try presented.toDERBytes())
            verified = try await anchor.verify(certificate, for: .client, at: now)
        } catch { throw Refusal.unauthenticated("\(error)") }

        switch verified.id.role {
        case .node(let name):
            guard let node = memory.read({ $0.nodes[name] }),
                [node.certificate, node.previous].contains(verified.encoded)
            else {
                throw Refusal.unauthenticated("the certificate is not the one that node `\(name)` joined with")
            }
            return .node(name, key: verified.publicKey, expires: verified.expires)
        case .admin(let name):
            // One admin may have several certificates, of one key: the old one holds until its end.
            let key = memory.read { $0.statements.chain.admins[name] }
            guard key == SigningPublicKey(verified.publicKey) else {
                throw Refusal.unauthenticated("the certificate is not one of an admin of this mesh")
            }
            return .admin(name)
        case .agent, .coordinator: throw Refusal.forbidden("`\(verified.id)` has no business here")
        }
    }
}
