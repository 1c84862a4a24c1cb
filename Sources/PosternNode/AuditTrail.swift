package import Audit
import CoordinationAPI
package import Logging
package import Mesh

/// What this node records, on its way to the coordinator.
///
///     record ──> memory ──a fifth of a second──> disk ──batches──> coordinator
///
/// Recording waits for nothing. What a group brings is written together; what was delivered is known by the
/// coordinator's answer, and without one it is delivered again.
package actor AuditTrail {
    private let spool: AuditSpool
    private let log: Logger
    private let recorded: AsyncStream<Void>
    private nonisolated let tell: AsyncStream<Void>.Continuation
    private let written: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation
    private var problem: String?
    // Each step may wait for the disk.
    private let executor = QueueExecutor(label: "postern-audit")
    package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe executor.asUnownedSerialExecutor() }

    /// How long records wait for others that are written with them.
    private static let group = Duration.milliseconds(200)

    package init(directory: String, node: NodeName, log: Logger, now: @escaping @Sendable () -> Timestamp)
        throws(NodeError)
    {
        do { spool = try AuditSpool(directory: directory, node: node, now: now) } catch {
            throw NodeError("cannot open the spool of records: \(error)")
        }
        self.log = log
        (recorded, tell) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        (written, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    package nonisolated func record(_ event: AuditEvent) {
        spool.append(event)
        tell.yield()
    }

    package nonisolated var figures: AuditSpool.Figures { spool.figures }

    /// Writes and delivers until the task is cancelled; what is in memory then is written.
    package func run(
        deliver: @escaping @Sendable (_ records: [UInt8]) async throws(CoordinatorError) -> AuditReceipt
    ) async {
        // What an earlier run left is delivered too.
        tell.yield()
        await withDiscardingTaskGroup { group in
            group.addTask { await self.keepWriting() }
            group.addTask { await self.keepDelivering(deliver) }
        }
        write()
    }

    private func keepWriting() async {
        for await _ in recorded {
            try? await Task.sleep(for: Self.group)
            write()
            wake.yield()
        }
    }

    private func write() {
        do throws(AuditError) {
            try spool.flush()
            notice(nil)
        } catch { notice("records wait in memory: \(error)") }
    }

    private func keepDelivering(
        _ deliver: @Sendable (_ records: [UInt8]) async throws(CoordinatorError) -> AuditReceipt
    ) async {
        var backoff = Backoff()
        var generator = SystemRandomNumberGenerator()
        for await _ in written {
            while !Task.isCancelled, let batch = next() {
                do {
                    try take(try await deliver(batch.body), of: batch)
                    backoff.reset()
                } catch {
                    log.debug("records wait on this node's disk: \(error)")
                    if case .refused(let refusal) = error as? CoordinatorError, refusal.code == "conflict" {
                        beginAnew()
                    }
                    try? await Task.sleep(for: backoff.next(using: &generator))
                }
            }
        }
    }

    private func next() -> AuditSpool.Batch? {
        do { return try spool.batch() } catch {
            notice("records cannot be read: \(error)")
            return nil
        }
    }

    private func take(_ receipt: AuditReceipt, of batch: AuditSpool.Batch) throws(AuditError) {
        // An answer about other records acknowledges nothing.
        guard receipt.spool == batch.last.spool, receipt.sequence >= batch.last.sequence else {
            throw AuditError("the coordinator acknowledges other records than were sent")
        }
        try spool.acknowledge(batch)
    }

    private func beginAnew() {
        log.notice("the coordinator knows other records of this node: its chain begins anew")
        do { try spool.beginAnew() } catch { notice("the chain of records cannot begin anew: \(error)") }
    }

    /// Once for each problem, not each time.
    private func notice(_ text: String?) {
        if let text, text != problem { log.error("\(text)") }
        problem = text
    }
}
