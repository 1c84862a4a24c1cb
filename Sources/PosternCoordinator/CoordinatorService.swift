import Hummingbird
import HummingbirdTLS
import Identity
package import Logging
package import Mesh
import NIOCore
import NIOSSL
import ServiceLifecycle

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The coordinator: registry, CA and map of one mesh, over HTTPS.
///
///     Founding        a mesh is made, once: CA, addresses, database, first admin
///     Caller          who is on the other side of a connection
///     Route, API      what a request asks for, and the answer's form
///     Coordinator     the steps, one method each:
///       Enrolment       a machine with a join token becomes a node
///       Changes         an admin's signed documents become definitions
///       Sessions        a node starts, renews and ends its agents' sessions
///       Confirmations   which node applied which version of the map
///     Store/          all of it on disk, one transaction for each version
package struct CoordinatorService: Service {
    private let coordinator: Coordinator
    private let tls: TLSConfiguration
    private let listen: ListenAddress
    private let logger: Logger
    private let ready: @Sendable (_ port: Int) async -> Void

    private static let maximumConnections = 4096
    private static let idleTimeout = TimeAmount.seconds(60)

    /// Opens the state of a mesh that was made before.
    package init(
        state: StateDirectory, listen: ListenAddress, holds: Holds = Holds(), logger: Logger,
        now: @escaping @Sendable () -> Timestamp = systemTime, ready: @escaping @Sendable (_ port: Int) async -> Void
    ) async throws {
        guard PrivateFile.exists(state.database) else {
            throw StateError(.read, state.database, "there is no mesh here; `init` makes one")
        }
        let ca = try CertificateAuthority(
            certificatePEM: try PrivateFile.read(state.caCertificate), keyPEM: try PrivateFile.readSecret(state.caKey))
        let store = try Store(opening: state.database)
        let settings = try await store.settings()
        guard settings.domain == ca.mesh else {
            throw StateError(.read, state.caCertificate, "it is the CA of another mesh, `\(ca.mesh)`")
        }
        guard let url = CoordinatorURL(settings.url) else { throw Damage("mesh") }
        coordinator = Coordinator(
            ca: ca, settings: settings, store: store, confirmations: Confirmations(), versions: Bell(), holds: holds,
            now: now, logger: logger)
        tls = try Self.tls(ca, host: url.host, now: now())
        (self.listen, self.logger, self.ready) = (listen, logger, ready)
    }

    package func run() async throws {
        let api = API(
            coordinator: coordinator, callers: CallerCheck(anchor: coordinator.ca.anchor, store: coordinator.store))
        let application = Application(
            responder: api,
            server: try .tls(.http1(configuration: .init(idleTimeout: Self.idleTimeout)), tlsConfiguration: tls),
            configuration: ApplicationConfiguration(
                address: .hostname(listen.address.description, port: Int(listen.port)),
                availableConnectionsDelegate: .maximum(Self.maximumConnections, logger: logger)),
            services: [Sweeper(coordinator: coordinator)],
            onServerRunning: { [ready] channel in await ready(channel.localAddress?.port ?? 0) },
            logger: logger)
        do { try await application.run() } catch let error as IOError {
            throw ListenError(address: listen, reason: systemReason(error.errnoCode))
        }
        try coordinator.store.close()
    }

    /// TLS 1.3; a certificate is asked for, and if one is shown, the mesh's CA must have issued it. The server's own
    /// is made at each start, and its key is nowhere on disk.
    private static func tls(_ ca: CertificateAuthority, host: ServerHost, now: Timestamp) throws -> TLSConfiguration {
        let key = SigningKey()
        let certificate = try ca.issueServer(hosts: [host], key: key.publicKey, at: now)
        var tls = TLSConfiguration.makeServerConfiguration(
            certificateChain: [.certificate(try NIOSSLCertificate(bytes: certificate.der, format: .der))],
            privateKey: .privateKey(try NIOSSLPrivateKey(bytes: Array(key.pem.utf8), format: .pem)))
        tls.minimumTLSVersion = .tlsv13
        tls.trustRoots = .certificates([try NIOSSLCertificate(bytes: ca.anchor.certificate.der, format: .der)])
        tls.certificateVerification = .optionalVerification
        tls.applicationProtocols = ["http/1.1"]
        // A caller that does not say goodbye must not hold up the end of the coordinator.
        tls.shutdownTimeout = .seconds(1)
        return tls
    }
}

/// Ends sessions whose leases ran out.
private struct Sweeper: Service {
    let coordinator: Coordinator

    private static let interval = Duration.seconds(5)

    func run() async {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                do { try await coordinator.sweep() } catch {
                    coordinator.logger.error("cannot end expired sessions: \(error)")
                }
                try? await Task.sleep(for: Self.interval)
            }
        }
    }
}

/// The time by the system's clock.
package let systemTime: @Sendable () -> Timestamp = {
    Timestamp(rawValue: Int64(Date().timeIntervalSince1970 * 1000))
}
