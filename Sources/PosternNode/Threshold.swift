import CoordinationAPI
package import Logging
package import Mesh
import ServiceLifecycle

/// A daemon on a machine that has not joined a mesh yet: it waits for a token, from `postern up` or `posternd join`.
package struct Threshold: Service {
    private let state: StateDirectory
    private let server: LocalServer
    private let log: Logger
    private let now: @Sendable () -> Timestamp

    /// How long a join by another program goes unnoticed.
    private static let inspection = Duration.seconds(1)

    package init(
        state: StateDirectory, server: LocalServer, log: Logger, now: @escaping @Sendable () -> Timestamp
    ) {
        (self.state, self.server, self.log, self.now) = (state, server, log, now)
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

    private func join(_ order: JoinOrder) async throws {
        let request = Join.Request(token: order.token, name: order.name, endpoints: order.endpoints)
        let membership = try await Join.perform(request, in: state, now: now())
        log.notice("joined mesh \(membership.mesh) as node \(membership.node)")
    }
}
