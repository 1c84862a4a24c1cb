import CoordinationAPI
import Identity
package import Mesh

/// What an operator does who put an older database back.
package enum Restoring {
    /// Checks the signatures in the database, and begins a new epoch with it. No coordinator may be serving it.
    package static func restore(_ state: StateDirectory, now: Timestamp) async throws -> Result {
        let ca = try CertificateAuthority(
            certificatePEM: try PrivateFile.read(state.caCertificate), keyPEM: try PrivateFile.readSecret(state.caKey))
        let checkpoint = try await Store.restore(state, ca: ca, now: now)
        return Result(epoch: checkpoint.epoch, version: checkpoint.version)
    }

    /// Where the mesh goes on.
    package struct Result: Sendable {
        package let epoch: UInt64
        package let version: UInt64
    }
}
