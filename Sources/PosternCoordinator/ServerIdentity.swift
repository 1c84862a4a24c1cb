import Crypto
import Identity
import Mesh
import NIOCore
import NIOSSL
import Synchronization

/// The coordinator's own certificate: made at the start, and again long before its end. Its key is nowhere on disk.
final class ServerIdentity: Sendable {
    private struct Leaf {
        let certificate: NIOSSLCertificate
        let key: NIOSSLPrivateKey
        let renewal: Timestamp
    }

    private let ca: CertificateAuthority
    private let host: ServerHost
    private let leaf: Mutex<Leaf>

    /// The last third of a certificate's life is for what may go wrong.
    private static let usedFor = Duration.seconds(60 * 86_400)

    init(ca: CertificateAuthority, host: ServerHost, now: Timestamp) throws {
        (self.ca, self.host) = (ca, host)
        leaf = Mutex(try Self.issue(ca, host, now: now))
    }

    /// TLS 1.3; a certificate is asked for, and if one is shown, the mesh's CA must have issued it.
    func configuration(now: @escaping @Sendable () -> Timestamp) throws -> TLSConfiguration {
        let first = current(now: now())
        var tls = TLSConfiguration.makeServerConfiguration(
            certificateChain: [.certificate(first.certificate)], privateKey: .privateKey(first.key))
        tls.minimumTLSVersion = .tlsv13
        tls.trustRoots = .certificates([try NIOSSLCertificate(bytes: ca.anchor.certificate.der, format: .der)])
        tls.certificateVerification = .optionalVerification
        tls.applicationProtocols = ["http/1.1"]
        // A caller that does not say goodbye must not hold up the end of the coordinator.
        tls.shutdownTimeout = .seconds(1)
        tls.sslContextCallback = { [self] _, promise in
            let leaf = current(now: now())
            var override = NIOSSLContextConfigurationOverride()
            override.certificateChain = [.certificate(leaf.certificate)]
            override.privateKey = .privateKey(leaf.key)
            promise.succeed(override)
        }
        return tls
    }

    private func current(now: Timestamp) -> Leaf {
        leaf.withLock { leaf in
            // What cannot be issued now is tried again at the next connection; the old one holds until then.
            if now >= leaf.renewal, let next = try? Self.issue(ca, host, now: now) { leaf = next }
            return leaf
        }
    }

    private static func issue(_ ca: CertificateAuthority, _ host: ServerHost, now: Timestamp) throws -> Leaf {
        let key = SigningKey()
        let certificate = try ca.issueServer(hosts: [host], key: key.publicKey, at: now)
        return Leaf(
            certificate: try NIOSSLCertificate(bytes: certificate.der, format: .der),
            key: try NIOSSLPrivateKey(bytes: Array(key.pem.utf8), format: .pem), renewal: now + usedFor)
    }
}
