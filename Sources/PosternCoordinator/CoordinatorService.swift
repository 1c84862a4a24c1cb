import Hummingbird
import HummingbirdTLS
import Identity
package import Logging
package import Mesh
import NIOCore
import ServiceLifecycle
import Telemetry

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
///       Enrolment       a machine with a join token becomes a node, and stays one
///       Challenges      that it holds its WireGuard key
///       Changes         an admin's signed documents become definitions
///       Sessions        a node starts, renews and ends its agents' sessions
///       MapIndex        which nodes' maps a change changes, and in what
///       MapStreams      who listens, and what he is still to be told; MapEvents writes it
///       AuditArchive    what nodes say happened, chained and sealed
///       Confirmations   which node applied which version of the map
///     StatementSet    all that admins said; a checkpoint (CheckpointFile) is about exactly that
///     Verification    whether the database is as the checkpoint left it, before anything of it is served
///     Memory          the registry that was verified, and what became of it
///     Store/          all of it on disk, one transaction for each version
package struct CoordinatorService: Service {
    private let coordinator: Coordinator
    private let identity: ServerIdentity
    private let listen: ListenAddress
    private let metrics: Endpoint?
    private let logger: Logger
    private let ready: @Sendable (_ port: Int) async -> Void

    private static let maximumConnections = 4096
    private static let idleTimeout = TimeAmount.seconds(60)

    /// Opens the state of a mesh that was made before.
    package init(
        state: StateDirectory, listen: ListenAddress, holds: Holds = Holds(), leases: Leases = Leases(),
        auditRetention: Duration = AuditArchive.retention, metrics: Endpoint? = nil, logger: Logger,
        now: @escaping @Sendable () -> Timestamp = systemTime, ready: @escaping @Sendable (_ port: Int) async -> Void
    ) async throws {
        guard PrivateFile.exists(state.database) else {
            throw StateError(.read, state.database, "there is no mesh here; `init` makes one")
        }
        let ca = try CertificateAuthority(
            certificatePEM: try PrivateFile.read(state.caCertificate), keyPEM: try PrivateFile.readSecret(state.caKey))
        let store = try await Store(opening: state, ca: ca, sessionLease: leases.session, now: now())
        guard let url = CoordinatorURL(store.settings.url) else { throw Damage("mesh") }
        let archive = AuditArchive(state: state, ca: ca, retention: auditRetention, logger: logger)
        coordinator = Coordinator(
            ca: ca, store: store, holds: holds, leases: leases, archive: archive, now: now, logger: logger)
        identity = try ServerIdentity(ca: ca, host: url.host, now: now())
        (self.listen, self.metrics, self.logger, self.ready) = (listen, metrics, logger, ready)
    }

    private func metricsServices() async throws -> [any Service] {
        guard let metrics else { return [] }
        return [
            MetricsService(
                server: try await MetricsServer(at: metrics.address, port: metrics.port.rawValue) {
                    [coordinator] in await coordinator.metrics()
                })
        ]
    }

    package func run() async throws {
        let api = API(
            coordinator: coordinator,
            callers: CallerCheck(anchor: coordinator.ca.anchor, memory: coordinator.store.memory))
        let (identity, now) = (identity, coordinator.now)
        let tls = try identity.configuration(now: now)
        let application = Application(
            responder: api,
            server: try .tls(.http1(configuration: .init(idleTimeout: Self.idleTimeout)), tlsConfiguration: tls),
            configuration: ApplicationConfiguration(
                address: .hostname(listen.address.description, port: Int(listen.port)),
                availableConnectionsDelegate: .maximum(Self.maximumConnections, logger: logger)),
            services: [Sweeper(coordinator: coordinator)] + (try await metricsServices()),
            onServerRunning: { [ready] channel in await ready(channel.localAddress?.port ?? 0) },
            logger: logger)
        let end: Result<Void, any Error>
        let memory = coordinator.store.memory
        do {
            // The streams of maps do not end by themselves, and the server, which is told first, waits for them.
            end = .success(
                try await withGracefulShutdownHandler {
                    try await application.run()
                } onGracefulShutdown: {
                    memory.endStreams()
                })
        } catch let error as IOError {
            end = .failure(ListenError(address: listen, reason: systemReason(error.errnoCode)))
        } catch { end = .failure(error) }
        try coordinator.store.close()
        try end.get()
    }
}

/// Shows the coordinator's figures.
private struct MetricsService: Service {
    let server: MetricsServer

    func run() async throws { try await cancelWhenGracefulShutdown { try await server.run() } }
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
                do { try await coordinator.tendAudit() } catch {
                    coordinator.logger.error("cannot tend the audit log: \(error)")
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
