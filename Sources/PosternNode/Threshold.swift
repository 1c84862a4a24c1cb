import CoordinationAPI
package import Logging
package import Mesh
import ServiceLifecycle
package import WireGuard

/// A daemon on a machine that has not joined a mesh yet: it waits for a token, from `postern up` or `posternd join`.
package struct Threshold: Service {
    private let state: StateDirectory
    private let server: LocalServer
    private let device: DeviceName
    private let log: Logger
    private let now: @Sendable () -> Timestamp

    /// How long a join by another program goes unnoticed.
    private static let inspection = Duration.seconds(1)

    /// - Parameter device: the mesh device, whose addresses reach nobody before it is up.
    package init(
        state: StateDirectory, server: LocalServer, device: DeviceName, log: Logger,
        now: @escaping @Sendable () -> Timestamp
    ) {
        (self.state, self.server, self.device) = (state, server, device)
        (self.log, self.now) = (log, now)
    }

    /// Returns when the machine has joined, or when told to stop.
    package func run() async throws {
        log.notice("this machine has not joined a mesh: waiting for `postern up --token-file FILE`")
        let (joined, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        try await cancelWhenGracefulShutdown {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await server.run { connection in
                        if await serve(connection) { continuation.yield() }
                    }
                }
                group.addTask {
                    while try state.membership() == nil { try await Task.sleep(for: Self.inspection) }
                }
                group.addTask { for await _ in joined { return } }
                defer { group.cancelAll() }
                do { try await group.next() } catch is CancellationError {}
            }
        }
    }

    /// Answers one caller; true when it made this machine a node.
    private func serve(_ connection: LocalConnection) async -> Bool {
        var requests = connection.requests.makeAsyncIterator()
        guard let received = await requests.next() else { return false }
        do {
            guard case .up(let order?) = received.request else {
                throw NodeError(
                    "this machine has not joined a mesh: as root, `postern up --token-file FILE --name NAME`, with a token "
                        + "that an admin made by `postern join-token create`")
            }
            guard try Caller(of: connection).uid == 0 else { throw NodeError("only root may let this machine join") }
            try await join(order)
            connection.send(.up)
            return true
        } catch {
            connection.send(.failed("\(error)"))
            return false
        }
    }

    private func underlayEndpoints() throws(LinkError) -> [Endpoint] {
        try Underlay.current(pool: nil, ownDevices: [device.rawValue]).endpoints(port: Self.usualPort)
    }

    private func join(_ order: JoinOrder) async throws {
        let endpoints = order.endpoints.isEmpty ? try underlayEndpoints() : order.endpoints
        guard let endpoint = endpoints.first else {
            throw NodeError(
                "this machine has no address at which others could reach it: name one with --endpoint ADDRESS:PORT")
        }
        let request = Join.Request(token: order.token, name: order.name, endpoint: endpoint)
        let membership = try await Join.perform(request, in: state, now: now())
        log.notice("joined mesh \(membership.mesh) as node \(membership.node)")
    }
}

extension Threshold {
    /// The port at which WireGuard answers unless a person chose another.
    static var usualPort: Port {
        guard let port = Port(rawValue: 51_820) else { preconditionFailure("51820 is a port") }
        return port
    }
}
