package import Mesh

/// A join token: a file of mode 0600, or standard input, never an argument.
///
/// It carries what a machine needs to know whom it joins, so that nobody between can pose as the coordinator.
package struct JoinToken: Codable, Equatable, Sendable, CustomStringConvertible, CustomReflectable {
    package let kind: String
    package let mesh: MeshDomain
    package let url: String
    /// Of the CA certificate (DER).
    package let ca: Fingerprint
    /// Of the first admin's public key.
    package let admin: Fingerprint
    package let node: NodeName?
    package let expires: Timestamp
    package let secret: String

    package var description: String { "redacted" }
    package var customMirror: Mirror { Mirror(self, children: []) }

    package static let kindText = "postern-join-token"
    package static let maximumLength = 4096

    package init(
        mesh: MeshDomain, url: String, ca: Fingerprint, admin: Fingerprint, node: NodeName?, expires: Timestamp,
        secret: String
    ) {
        (self.kind, self.mesh, self.url, self.ca) = (Self.kindText, mesh, url, ca)
        (self.admin, self.node, self.expires, self.secret) = (admin, node, expires, secret)
    }

    /// Reads a token's text.
    package init(parsing text: [UInt8]) throws(MessageError) {
        self = try parse(text, as: "join token", upTo: Self.maximumLength)
        guard kind == Self.kindText else { throw MessageError(reason: "this file is not a join token") }
    }
}

/// What an admin's commands need: where the coordinator is, whom to trust, and the admin's own certificate and key.
package struct AdminFile: Codable, Sendable, CustomStringConvertible, CustomReflectable {
    package let kind: String
    package let mesh: MeshDomain
    package let url: String
    /// The CA certificate in PEM.
    package let ca: String
    /// The admin's certificate in PEM.
    package let certificate: String
    /// The admin's private key in PEM.
    package let key: String
    /// Of the first admin's public key, where this is another one: the chain of admins starts there.
    package let root: Fingerprint?

    package var description: String { "redacted" }
    package var customMirror: Mirror { Mirror(self, children: []) }

    package static let kindText = "postern-admin"
    package static let maximumLength = 65_536

    package init(
        mesh: MeshDomain, url: String, ca: String, certificate: String, key: String, root: Fingerprint? = nil
    ) {
        (self.kind, self.mesh, self.url) = (Self.kindText, mesh, url)
        (self.ca, self.certificate, self.key, self.root) = (ca, certificate, key, root)
    }

    /// Reads an admin file's text.
    package init(parsing text: [UInt8]) throws(MessageError) {
        self = try parse(text, as: "admin file", upTo: Self.maximumLength)
        guard kind == Self.kindText else { throw MessageError(reason: "this file is not an admin file") }
    }
}

/// What `postern login` keeps: a key that stands for a person for a day at most, and the person's word for it.
package struct LoginFile: Codable, Sendable, CustomStringConvertible, CustomReflectable {
    package let kind: String
    package let mesh: MeshDomain
    /// What the person's own key signed.
    package let login: Envelope
    /// The login's private key in PEM.
    package let key: String

    package var description: String { "redacted" }
    package var customMirror: Mirror { Mirror(self, children: []) }

    package static let kindText = "postern-login"
    package static let maximumLength = 16_384

    package init(mesh: MeshDomain, login: Envelope, key: String) {
        (kind, self.mesh, self.login, self.key) = (Self.kindText, mesh, login, key)
    }

    /// Reads a login file's text.
    package init(parsing text: [UInt8]) throws(MessageError) {
        self = try parse(text, as: "login file", upTo: Self.maximumLength)
        guard kind == Self.kindText else { throw MessageError(reason: "this file is not a login file") }
    }
}

private func parse<Value: Decodable>(
    _ text: [UInt8], as name: String, upTo limit: Int
) throws(MessageError) -> Value {
    guard text.count <= limit else { throw MessageError(reason: "the \(name) is longer than \(limit) bytes") }
    do { return try JSON.decode(Value.self, from: text) } catch {
        throw MessageError(reason: "this is no \(name): \(error.reason)")
    }
}
