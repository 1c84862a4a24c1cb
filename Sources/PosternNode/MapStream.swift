import CoordinationAPI
import Datapath
import Logging
import Mesh

/// Keeps the node's map up to date: follows the coordinator's stream, and comes back when it breaks.
///
///     events ──> Node.take ──> disk ──> belief ──> plan ──> kernel ──> applied
package struct MapStream: Sendable {
    private let node: Node

    package init(node: Node) { self.node = node }

    /// Runs until the task is cancelled.
    package func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await follow() }
            group.addTask { await report() }
            group.addTask {
                for await _ in node.changes where !Task.isCancelled { await node.reconcile() }
            }
        }
    }

    private func follow() async {
        var backoff = Backoff()
        var generator = SystemRandomNumberGenerator()
        while !Task.isCancelled {
            if await node.followMap() { backoff.reset() }
            try? await Task.sleep(for: backoff.next(using: &generator))
        }
    }

    /// Tells the coordinator what stands in the kernel: the newest, however many there were since it was told.
    private func report() async {
        for await _ in node.applications {
            if !Task.isCancelled { await node.reportApplied() }
        }
    }
}

extension Node {
    /// Follows the stream until it breaks; whether it brought anything that could be used.
    func followMap() async -> Bool {
        var asked: BootTime? = .now()
        var isGood = false
        do {
            try await client.followMap(after: known) { event in
                // Deadlines may come early by the time that the answer took, never late.
                try await self.take(event, asked: asked, received: .now())
                asked = nil
                if !isGood { await self.answered() }
                isGood = true
            }
        } catch is CancellationError {} catch {
            // What could not be believed once will not be the second time: the whole map is asked for.
            if error is NodeError { mustResync = true }
            if !Task.isCancelled { failed(error) }
        }
        return isGood
    }

    /// How far this node's map is; nil when all of it must come again.
    private var known: Position? {
        guard !mustResync, let belief, let checkpoint = belief.checkpoint?.checkpoint else { return nil }
        return Position(epoch: checkpoint.epoch, version: belief.map.version)
    }

    private func answered() async {
        let wasAway = coordinatorError != nil
        if wasAway { log.info("the coordinator answers again") }
        (coordinatorError, mustResync) = (nil, false)
        // It may be another one, or have forgotten.
        reportedVersion = 0
        await reportEnds()
        if wasAway { await renewSessions(all: true) }
        if !hasForgottenOrphans {
            hasForgottenOrphans = true
            await forgetOrphans()
        }
    }

    private func failed(_ error: any Error) {
        if coordinatorError == nil { log.warning("\(error)") }
        coordinatorError = "\(error)"
    }

    func reportApplied() async {
        let version = appliedVersion
        guard version != reportedVersion else { return }
        do {
            try await client.report(applied: version)
            reportedVersion = version
        } catch { log.debug("the coordinator was not told that map \(version) stands: \(error)") }
    }
}
