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
        let root = try Envelope(
            signing: Document(
                mesh: mesh, madeAt: now,
                statement: .admin(AdminStatement(name: name, key: SigningPublicKey(key.publicKey)))),
            with: key.privateKey)
        try Store.create(
            state, settings: Store.Settings(domain: mesh, url: url.description, pool: pool), root: root)
        let chain = try AdminChain(root: root, key: SigningPublicKey(key.publicKey), of: mesh)
        let checkpoint = StatementSet(chain: chain).checkpoint(epoch: 1, version: 1, now: now)
        try CheckpointFile.sign(checkpoint, root: SigningPublicKey(key.publicKey), ca: ca, now: now)
            .prepare(state.checkpoint).commit()
        let file = AdminFile(
            mesh: mesh, url: url.description, ca: ca.anchor.certificate.pem, certificate: certificate.pem, key: key.pem)
        try PrivateFile.write(try JSON.pretty(file) + "\n", to: state.adminFile)
        return Result(
            pool: pool, ca: Fingerprint(of: ca.anchor.certificate.der), admin: Fingerprint(of: key.publicKey))
    }
}
