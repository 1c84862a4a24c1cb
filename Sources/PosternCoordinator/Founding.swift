package import CoordinationAPI
import Crypto
import Identity
package import Mesh

/// The making of a mesh: its CA, its addresses, its database and its first admin.
package enum Founding {
    /// What there is to say about a mesh that was just made.
    package struct Result: Sendable {
        package let pool: AddressPool
        package let ca: Fingerprint
        package let admin: Fingerprint
    }

    /// Makes it all in a directory that is new or empty. The admin's file comes last: it is there only if all is.
    package static func found(
        _ mesh: MeshDomain, at url: CoordinatorURL, admin name: UserName, in state: StateDirectory, now: Timestamp
    ) throws -> Result {
        let ca = try CertificateAuthority(new: mesh, at: now)
        let key = SigningKey()
        let certificate = try ca.issueAdmin(name, key: key.publicKey, at: now)
        var generator = SystemRandomNumberGenerator()
        let pool = AddressPool.random(using: &generator)

        try PrivateFile.makeDirectory(state.path)
        try PrivateFile.makeDirectory(state.caDirectory)
        try PrivateFile.write(ca.key.pem, to: state.caKey)
        try PrivateFile.write(ca.anchor.certificate.pem, to: state.caCertificate)
        let store = try Store(
            creating: state.database,
            settings: Store.Settings(domain: mesh, url: url.description, pool: pool),
            admin: Store.Admin(name: name, certificate: certificate, key: key.publicKey.base64))
        try store.close()
        let file = AdminFile(
            mesh: mesh, url: url.description, ca: ca.anchor.certificate.pem, certificate: certificate.pem, key: key.pem)
        try PrivateFile.write(try JSON.pretty(file) + "\n", to: state.adminFile)
        return Result(
            pool: pool, ca: Fingerprint(of: ca.anchor.certificate.der), admin: Fingerprint(of: key.publicKey))
    }
}

extension P256.Signing.PublicKey {
    /// Uncompressed (SEC 1 §2.3.3), in base64.
    var base64: String { encodeBase64(Array(x963Representation)) }

    init?(base64 text: String) {
        guard let bytes = decodeBase64(text), let key = try? Self(x963Representation: bytes) else { return nil }
        self = key
    }
}
