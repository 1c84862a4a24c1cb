import Datapath
import Glibc
import Logging
import Mesh
import ServiceLifecycle
import Telemetry

/// The daemon: everything that runs on a node, until it is told to stop.
///
///     MapStream ──> Node.take ──> Planner ──> Reconciler ──> WireGuard, tables
///     LocalServer ─> LocalAPI ──> Sessions ─> Enclosure
///     events ──────> Denials ───> the session's terminal
///                    AuditTrail ─> the coordinator's audit log
///
/// When it ends, the tables, classifiers and devices stay: what was allowed goes on until its lease ends.
package struct NodeService: Service {
    let node: Node
    private let server: LocalServer
    private let lock: StateDirectory.Lock

    /// How often the machine is compared with the plan when nobody says that anything has changed.
    private static let inspection = Duration.seconds(5)
    /// Tables are read back at every sixth look: each half minute.
    private static let roundsToTables = 6
    /// Between two rounds of work that is done in portions.
    private static let breath = Duration.milliseconds(50)

    /// Holds the lock as long as it lives: of two daemons on one state, each would undo what the other does.
    package init(node: Node, server: LocalServer, lock: StateDirectory.Lock) {
        (self.node, self.server, self.lock) = (node, server, lock)
    }

    package func run() async throws {
        let outcome: Result<Void, any Error>
        do { outcome = .success(try await serve()) } catch { outcome = .failure(error) }
        await node.client.shutdown()
        try outcome.get()
    }

    private func serve() async throws {
        try await node.refuseOverlap()
        let metrics = try await metricsServer()
        await node.lookAround()
        try await cancelWhenGracefulShutdown {
            try await withThrowingTaskGroup(of: Void.self) { group in
                // Whoever ran a session asks for it as soon as somebody listens: it is known by then, or the reason is.
                let isHindered = await !node.beginAgain()
                group.addTask { try await server.run { await node.serve($0) } }
                if isHindered {
                    repeat { try await Task.sleep(for: Self.inspection) } while await !node.beginAgain()
                }
                group.addTask { await MapStream(node: node).run() }
                group.addTask { await followAdopted() }
                group.addTask { await exchangeLetters() }
                group.addTask { await keepCertificate() }
                group.addTask { try await node.alarm.ringing { await node.ring() } }
                group.addTask { try await node.watch.hearing { await node.lookAtDevices() } }
                group.addTask { try await watchEvents() }
                group.addTask { await inspect() }
                group.addTask { await renew() }
                group.addTask { await exchangeOldKeys() }
                group.addTask { try await watchUnderlay() }
                group.addTask { try await watchWall() }
                group.addTask { await answerForNames() }
                group.addTask { await keepResolver() }
                if let metrics { group.addTask { try await metrics.run() } }
                group.addTask {
                    await node.trail.run { records throws(CoordinatorError) in try await node.client.deliver(records) }
                }
                try await group.next()
                group.cancelAll()
            }
        }
    }

    private func metricsServer() async throws -> MetricsServer? {
        guard let place = node.configuration.metrics else { return nil }
        return try await MetricsServer(at: place.address, port: place.port.rawValue) { [node] in await node.metrics() }
    }

    /// Until cancelled: that the last of them has ended is no reason to stop.
    private func followAdopted() async {
        await node.followAdopted()
        while !Task.isCancelled { try? await Task.sleep(for: .seconds(3600)) }
    }

    private func watchEvents() async throws {
        let stop = try StopSignal()
        let descriptor = await node.eventDescriptor
        let (wakeUps, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        await withDiscardingTaskGroup { group in
            group.addTask {
                await onThread("postern-events", stop: stop) {
                    // The descriptor stays readable until the node has drained it: a pause keeps this from spinning.
                    while !readable([stop.descriptor, descriptor]).contains(0) {
                        continuation.yield()
                        if !readable([stop.descriptor], timeout: 10).isEmpty { break }
                    }
                    continuation.finish()
                }
            }
            for await _ in wakeUps { await node.drainEvents() }
            group.cancelAll()
        }
    }

    /// Where the wall stands in the firewall, whoever changes that may have taken it away: so it is looked at, at once.
    private func watchWall() async throws {
        guard Wall.material == .table else {
            while !Task.isCancelled { try? await Task.sleep(for: .seconds(3600)) }
            return
        }
        let (stop, watch) = (try StopSignal(), try WallWatch())
        let (wakeUps, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        await withDiscardingTaskGroup { group in
            group.addTask {
                await onThread("postern-wall", stop: stop) {
                    while !readable([stop.descriptor, watch.descriptor]).contains(0) {
                        watch.drain()
                        continuation.yield()
                        // Others may change their firewall all the time, and looking costs.
                        if !readable([stop.descriptor], timeout: 100).isEmpty { break }
                    }
                    continuation.finish()
                }
            }
            for await _ in wakeUps { await node.reconcile(.changes) }
            group.cancelAll()
        }
    }

    /// Compares the machine with the plan: the devices each time, the tables now and then, for reading them costs.
    private func inspect() async {
        var round = 0
        while !Task.isCancelled {
            try? await Task.sleep(for: await node.hasMore ? Self.breath : Self.inspection)
            if Task.isCancelled { return }
            await node.hearOfPeers()
            round += 1
            await node.reconcile(round.isMultiple(of: Self.roundsToTables) ? .everything : .devices)
            await node.takeRates()
        }
    }

    private func renew() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: await node.renewalPause)
            if !Task.isCancelled { await node.renewSessions() }
        }
    }

    /// Beside the renewals, which must not wait: an exchange takes seconds where a node does not answer.
    private func exchangeOldKeys() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: await node.renewalPause)
            if !Task.isCancelled { await node.rotateOldKeys() }
        }
    }
}
