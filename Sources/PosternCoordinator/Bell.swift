import Synchronization

/// Wakes those who wait for something to change.
///
/// A waiter notes `rings`, looks, and waits for a ring after that: one that comes while it looks is not missed.
/// It does not say what changed; who wakes looks again.
package final class Bell: Sendable {
    private struct State {
        var rings: UInt64 = 0
        var nextTicket: UInt64 = 0
        var waiters: [UInt64: CheckedContinuation<Bool, Never>] = [:]
    }

    private let state = Mutex(State())
    private let maximumWaiters: Int

    /// Those who come when `maximumWaiters` are waiting are told at once that nothing rang.
    package init(maximumWaiters: Int = 8192) { self.maximumWaiters = maximumWaiters }

    package var rings: UInt64 { state.withLock { $0.rings } }

    package func ring() {
        let waiters = state.withLock { state in
            state.rings += 1
            defer { state.waiters = [:] }
            return state.waiters.values
        }
        for waiter in waiters { waiter.resume(returning: true) }
    }

    /// True once it rang after `seen`; false at the deadline, or when the task is cancelled.
    package func wait(after seen: UInt64, until deadline: ContinuousClock.Instant) async -> Bool {
        await withTaskGroup(of: Bool.self) { group in
            group.addTask { await self.ringing(after: seen) }
            group.addTask {
                try? await Task.sleep(until: deadline, clock: .continuous)
                return false
            }
            let rang = await group.next() ?? false
            group.cancelAll()
            return rang
        }
    }

    private func ringing(after seen: UInt64) async -> Bool {
        let ticket = state.withLock { state in
            state.nextTicket += 1
            return state.nextTicket
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let answer: Bool? = state.withLock { state in
                    if state.rings != seen { return true }
                    if Task.isCancelled || state.waiters.count >= maximumWaiters { return false }
                    state.waiters[ticket] = continuation
                    return nil
                }
                if let answer { continuation.resume(returning: answer) }
            }
        } onCancel: {
            let waiter = state.withLock { $0.waiters.removeValue(forKey: ticket) }
            waiter?.resume(returning: false)
        }
    }
}
