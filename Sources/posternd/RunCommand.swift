import ArgumentParser
import Foundation
import Logging
import Mesh
import PosternNode
import ServiceLifecycle
import UnixSignals
import WireGuard

/// `posternd run`
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Keep this machine in the mesh until told to stop (SIGTERM, SIGINT).",
        discussion: """
            Tables, classifiers and WireGuard devices outlive the daemon: what policy allowed goes on until its lease
            ends, and nothing else begins. On a machine that has not joined yet, it waits for `postern up`.
            """)

    @Option(help: "Where the node keeps its keys and its map.")
    var state = "/var/lib/postern/node"

    @Option(help: "The Unix socket for `postern`.")
    var socket = "/run/postern/posternd.sock"

    @Option(help: "A directory of this node's own in a BPF file system; it is made if missing.")
    var bpffs = "/sys/fs/bpf/postern"

    @Option(help: "The name of the node's WireGuard device.")
    var device = "postern0"

    @Option(help: "The program that encloses a session. Default: `postern-session` beside this one.")
    var sessionProgram: String?

    @Option(help: "What carries WireGuard, `kernel` or `userspace`. Default: the kernel where it can.")
    var wireguard: String?

    @Option(
        help: ArgumentHelp(
            "Whether sessions keep their flows alive in routers and firewalls, by a packet every 25 s of silence: "
                + "`always`, `never`, or `automatic`: where this machine has private addresses alone.",
            valueName: "when"))
    var keepalive = "automatic"

    @Option(
        help: ArgumentHelp(
            "How old a session's WireGuard key grows before the node exchanges it, while the session's flows go on: "
                + "10s … 1d.", valueName: "time"),
        transform: span)
    var sessionKeyLife = Span(seconds: 3600)

    @Option(
        help: ArgumentHelp(
            "How much memory all sessions of this node may take together, with their temporary files: 6G, 512M, 75%. "
                + "Default: four fifths of the machine's. Wants cgroup version 2 with its `memory` controller.",
            valueName: "size"))
    var sessionsMemory: String?

    @Option(
        help: ArgumentHelp(
            "How much memory one session may take, with its temporary files. Default: half of what all may take.",
            valueName: "size"))
    var sessionMemory: String?

    @Option(
        help: ArgumentHelp(
            "How many processes and threads all sessions of this node may have together. Default: half of what the "
                + "machine can have. Wants cgroup version 2 with its `pids` controller.", valueName: "count"))
    var sessionsProcesses: Int?

    @Option(
        help: ArgumentHelp(
            "Where figures are served for Prometheus, at /metrics, over plain HTTP and to whoever asks: such as "
                + "127.0.0.1:9464. Default: nowhere.", valueName: "address:port"),
        transform: metricsAddress)
    var metrics: Endpoint?

    func run() async throws {
        try await reportingErrors {
            guard geteuid() == 0 else { throw NodeError("posternd needs root: it makes devices and namespaces") }
            guard let device = DeviceName(device) else {
                throw NodeError("`\(device)` cannot be the name of a network device")
            }
            LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
            let log = Logger(label: "posternd")
            if let reason = Precedence.take() {
                log.warning("whoever keeps this machine busy is cut off late: no precedence for posternd: \(reason)")
            }
            let configuration = NodeConfiguration(
                stateDirectory: state, socket: socket, bpffs: bpffs, device: device,
                sessionProgram: try sessionProgram ?? programBeside("postern-session"),
                keepalive: try chosenKeepalive(), sessionKeyLife: try chosenKeyLife(),
                sessionsBounds: try SessionsBounds(
                    memory: sessionsMemory, eachMemory: sessionMemory, processes: sessionsProcesses),
                metrics: metrics)
            try makeDirectory(URL(fileURLWithPath: socket).deletingLastPathComponent().path, mode: 0o755)
            try makeDirectory(state + "/wireguard", mode: 0o700)
            let directory = try StateDirectory(path: state)
            let lock = try directory.lock()
            let backend = try Backends.choose(override: try chosenBackend(), directory: state + "/wireguard")
            log.info("WireGuard is carried by: \(backend.kind.rawValue)")
            if try directory.membership() == nil {
                let threshold = Threshold(
                    state: directory, server: try LocalServer(path: socket), log: log, now: wallClock)
                try await run(threshold, log)
                if try directory.membership() == nil { return }
            }
            guard let node = try await begin(configuration, backend, log) else { return }
            let service = NodeService(node: node, server: try LocalServer(path: socket), lock: lock)
            log.info("posternd serves \(socket)")
            try await run(service, log)
        }
    }

    /// The node, as soon as the machine lets it begin; nil when told to stop before.
    private func begin(
        _ configuration: NodeConfiguration, _ backend: any WireGuardBackend, _ log: Logger
    ) async throws -> Node? {
        let make = { @Sendable () throws in try Node(configuration, backend: backend, log: log, wall: { .wall }) }
        do { return try make() } catch {
            log.error("\(error)")
            let hindrance = Hindrance(
                configuration, backend: backend, server: try LocalServer(path: socket), log: log, make: make)
            try await run(hindrance, log)
            return hindrance.node
        }
    }

    private func chosenKeepalive() throws -> Keepalive {
        guard let keepalive = Keepalive(rawValue: keepalive) else {
            let known = Keepalive.allCases.map { "`\($0)`" }.joined(separator: ", ")
            throw NodeError("--keepalive is one of \(known), not `\(keepalive)`")
        }
        return keepalive
    }

    private func chosenKeyLife() throws -> Duration {
        let lives = NodeConfiguration.sessionKeyLives
        guard lives.contains(sessionKeyLife.duration) else {
            throw NodeError(
                "--session-key-life is from \(Span(lives.lowerBound)) to \(Span(lives.upperBound)), "
                    + "not \(sessionKeyLife)")
        }
        return sessionKeyLife.duration
    }

    private func chosenBackend() throws -> BackendKind? {
        guard let wireguard else { return nil }
        guard let kind = BackendKind(rawValue: wireguard) else {
            throw NodeError("`\(wireguard)` does not carry WireGuard: `kernel` or `userspace` does")
        }
        return kind
    }

    private func run(_ service: any Service, _ log: Logger) async throws {
        let ending = ServiceGroupConfiguration.ServiceConfiguration(
            service: service, successTerminationBehavior: .gracefullyShutdownGroup)
        let group = ServiceGroup(
            configuration: .init(services: [ending], gracefulShutdownSignals: [.sigterm, .sigint], logger: log))
        try await group.run()
    }
}

private func span(_ text: String) throws -> Span {
    guard let span = Span(text) else { throw ValidationError("`\(text)` is no length of time, such as 30m or 1h") }
    return span
}

private func metricsAddress(_ text: String) throws -> Endpoint {
    guard let endpoint = Endpoint(text) else {
        throw ValidationError("`\(text)` is not ADDRESS:PORT, such as 127.0.0.1:9464 or [::1]:9464")
    }
    return endpoint
}
