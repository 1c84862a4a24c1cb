package import Crypto
package import Mesh

/// A public key of P-256 as statements bear it: uncompressed (SEC 1 §2.3.3), in base64.
package struct SigningPublicKey: Hashable, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ key: P256.Signing.PublicKey) { description = encodeBase64(Array(key.x963Representation)) }

    package init?(_ text: String) {
        guard text.utf8.count == 88, let bytes = decodeBase64(text), bytes.count == 65,
            (try? P256.Signing.PublicKey(x963Representation: bytes)) != nil
        else { return nil }
        description = text
    }

    package var key: P256.Signing.PublicKey {
        guard let bytes = decodeBase64(description), let key = try? P256.Signing.PublicKey(x963Representation: bytes)
        else { preconditionFailure("it was a key when this value was made") }
        return key
    }

    package var fingerprint: Fingerprint { Fingerprint(of: key) }
}

extension SigningPublicKey: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let key = SigningPublicKey(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "a public key is 65 bytes of P-256 in base64")
        }
        self = key
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// Who the admins are, from the first one's key: each further statement is made by somebody who was one by then.
///
///     root: .admin(ann, key) by ann -> .admin(bob, key) by ann -> .removal(.admin(ann)) by bob -> …
///
/// The order is that of the moments at which the statements were made, no two at one moment, so that a set of
/// statements has one meaning. A removed admin's name and key never come back.
package struct AdminChain: Equatable, Sendable {
    package let mesh: MeshDomain
    /// Those whose signatures count.
    package private(set) var admins: [UserName: SigningPublicKey]
    /// The statements, in order.
    package private(set) var links: [Link]
    private var former: Set<UserName> = []
    private var formerKeys: Set<SigningPublicKey> = []

    /// One statement of the chain.
    package struct Link: Equatable, Sendable {
        package let document: Document
        package let envelope: Envelope
    }

    package static let maximumLinks = 1000

    /// Starts with the first admin, who speaks for himself. Whether his key is the right one is the caller's to know.
    package init(root envelope: Envelope, key: SigningPublicKey, of mesh: MeshDomain) throws(AdminChainError) {
        let document = try Self.open(envelope, by: [key.key], of: mesh)
        guard case .admin(let statement) = document.statement, statement.key == key else { throw .noRoot }
        self.mesh = mesh
        admins = [statement.name: key]
        links = [Link(document: document, envelope: envelope)]
    }

    /// Replays a chain from statements in any order.
    package init(
        replaying envelopes: [Envelope], root key: SigningPublicKey, of mesh: MeshDomain
    ) throws(AdminChainError) {
        guard envelopes.count <= Self.maximumLinks else { throw .tooLong }
        // What is read before the signature is checked is the order alone.
        var moments: [(Timestamp, Envelope)] = []
        for envelope in envelopes {
            do {
                moments.append((try JSON.decode(Document.self, from: Array(envelope.document.utf8)).madeAt, envelope))
            } catch { throw .untrusted(.unreadable(error.reason)) }
        }
        moments.sort { $0.0 < $1.0 }
        guard let first = moments.first else { throw .noRoot }
        try self.init(root: first.1, key: key, of: mesh)
        for (_, envelope) in moments.dropFirst() { try take(envelope) }
    }

    /// Those keys whose signatures count.
    package var keys: [P256.Signing.PublicKey] { admins.values.map(\.key) }

    /// Who the admins were at a moment, by all that the chain says now.
    package func admins(at moment: Timestamp) -> [UserName: SigningPublicKey] {
        links.prefix { $0.document.madeAt <= moment }.reduce(into: [:]) { admins, link in
            switch link.document.statement {
            case .admin(let statement): admins[statement.name] = statement.key
            case .removal(.admin(let name)): admins[name] = nil
            default: break
            }
        }
    }

    /// Whether a live admin signed it, and what it says.
    package func document(in envelope: Envelope) throws(EnvelopeError) -> Document {
        let signers = admins.values.filter { key in envelope.signatures.contains { $0.key == key.description } }
        return try envelope.document(signedByOneOf: signers.map(\.key), of: mesh)
    }

    /// Takes the next statement.
    package mutating func take(_ envelope: Envelope) throws(AdminChainError) {
        guard links.count < Self.maximumLinks else { throw .tooLong }
        let document: Document
        do { document = try self.document(in: envelope) } catch { throw .untrusted(error) }
        guard let last = links.last, document.madeAt > last.document.madeAt else { throw .notAfterTheLast }
        switch document.statement {
        case .admin(let statement): try add(statement)
        case .removal(.admin(let name)): try remove(name)
        default: throw .notAboutAdmins
        }
        links.append(Link(document: document, envelope: envelope))
    }

    private mutating func add(_ statement: AdminStatement) throws(AdminChainError) {
        guard admins[statement.name] == nil else { throw .exists(statement.name) }
        guard !former.contains(statement.name) else { throw .former(statement.name) }
        guard !admins.values.contains(statement.key), !formerKeys.contains(statement.key) else { throw .keyTaken }
        admins[statement.name] = statement.key
    }

    private mutating func remove(_ name: UserName) throws(AdminChainError) {
        guard let key = admins[name] else { throw .unknown(name) }
        guard admins.count > 1 else { throw .last(name) }
        admins[name] = nil
        former.insert(name)
        formerKeys.insert(key)
    }

    private static func open(
        _ envelope: Envelope, by keys: [P256.Signing.PublicKey], of mesh: MeshDomain
    ) throws(AdminChainError) -> Document {
        do { return try envelope.document(signedByOneOf: keys, of: mesh) } catch { throw .untrusted(error) }
    }
}

/// Why a statement about admins is not taken.
package enum AdminChainError: Error, Equatable, Sendable, CustomStringConvertible {
    case noRoot
    case untrusted(EnvelopeError)
    case notAfterTheLast
    case notAboutAdmins
    case exists(UserName)
    case former(UserName)
    case keyTaken
    case unknown(UserName)
    case last(UserName)
    case tooLong

    package var description: String {
        switch self {
        case .noRoot: "the chain of admins does not start with the first admin"
        case .untrusted(let error): "no admin of that moment stands behind a statement about admins: \(error)"
        case .notAfterTheLast: "a statement about admins was made no later than the one before it: check the clocks"
        case .notAboutAdmins: "a statement in the chain of admins is not about an admin"
        case .exists(let name): "there is an admin `\(name)` already"
        case .former(let name): "admin `\(name)` was removed, and the name is not given again"
        case .keyTaken: "the key is, or was, another admin's"
        case .unknown(let name): "there is no admin `\(name)` to remove"
        case .last(let name): "admin `\(name)` is the last one and cannot be removed"
        case .tooLong: "there were more than \(AdminChain.maximumLinks) changes of admins"
        }
    }
}
