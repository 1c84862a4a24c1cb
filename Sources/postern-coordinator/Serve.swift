import ArgumentParser
import Glibc
import Logging
import Mesh
import PosternCoordinator
import ServiceLifecycle
import UnixSignals

struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Serve a mesh that `init` made, until SIGTERM or SIGINT.",
        discussion: """
            Prints one line that starts with `ready` on standard output when it listens, and its log on standard error.
            """)

    @Option(help: ArgumentHelp("The directory that `init` made.", valueName: "directory"))
    var state: String

    @Option(
        help: ArgumentHelp(
            "The address and port to listen at: 0.0.0.0:8443 is every IPv4 address, [::]:8443 every address.",
            valueName: "address:port"),
        transform: listenAddress)
    var listen: ListenAddress

    @Option(
        help: ArgumentHelp(
            "How long a session lives that its node does not renew: 10s … 15m.", valueName: "time"), transform: span)
    var sessionLease = Span(Leases().session)

    @Option(
        help: ArgumentHelp(
            "How long nodes go by a map that nobody says again: 30s … 1d.", valueName: "time"), transform: span)
    var mapLease = Span(Leases().map)

    @Option(
        help: ArgumentHelp("How long records of the audit log are kept: 1h … 3650d.", valueName: "time"),
        transform: span)
    var auditRetention = Span(AuditArchive.retention)

    @Option(
        help: ArgumentHelp(
            "Where figures are served for Prometheus, at /metrics, over plain HTTP and to whoever asks: such as "
                + "127.0.0.1:9465. Default: nowhere.", valueName: "address:port"),
        transform: metricsAddress)
    var metrics: Endpoint?

    @Flag(help: "Log more.")
    var verbose = false

    func run() async throws {
        try await reportingErrors {
            umask(0o077)
            var logger = Logger(label: "postern-coordinator", factory: StreamLogHandler.standardError(label:))
            logger.logLevel = verbose ? .debug : .info
            let service = try await CoordinatorService(
                state: StateDirectory(state), listen: listen, leases: try leases(),
                auditRetention: auditRetention.duration, metrics: metrics, logger: logger
            ) { port in
                write("ready: \(listen.url(port: port))\n", to: STDOUT_FILENO)
            }
            let group = ServiceGroup(
                configuration: .init(
                    services: [service], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
            try await group.run()
        }
    }
}

extension Serve {
    func validate() throws {
        _ = try leases()
        guard auditRetention.seconds >= 3600 else { throw ValidationError("--audit-retention is 1h at least") }
    }

    private func leases() throws(ValidationError) -> Leases {
        guard let leases = Leases(session: sessionLease.duration, map: mapLease.duration) else {
            throw ValidationError(
                "--session-lease is from \(Span(Leases.sessionRange.lowerBound)) to \(Span(Leases.sessionRange.upperBound)), "
                    + "and --map-lease from \(Span(Leases.mapRange.lowerBound)) to \(Span(Leases.mapRange.upperBound))")
        }
        return leases
    }
}

private func span(_ text: String) throws -> Span {
    guard let span = Span(text) else { throw ValidationError("`\(text)` is no length of time, such as 30s or 15m") }
    return span
}

private func listenAddress(_ text: String) throws -> ListenAddress {
    guard let address = ListenAddress(text) else {
        throw ValidationError("`\(text)` is not ADDRESS:PORT, such as 0.0.0.0:8443 or [::]:8443")
    }
    return address
}

private func metricsAddress(_ text: String) throws -> Endpoint {
    guard let endpoint = Endpoint(text) else {
        throw ValidationError("`\(text)` is not ADDRESS:PORT, such as 127.0.0.1:9465 or [::1]:9465")
    }
    return endpoint
}
