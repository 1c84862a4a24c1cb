import CLinux
package import Datapath
import Glibc

/// Wakes whoever waits at a moment since boot, sleep included, and when somebody sets the clock on the wall.
///
/// Two descriptors of the kernel: a timer on CLOCK_BOOTTIME, and one on CLOCK_REALTIME that ends when the clock is set
/// or the machine is resumed (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET).
package final class Alarm: Sendable {
    private let timer: Int32
    private let watch: Int32

    package init() throws(NodeError) {
        let timer = pt_boot_timer()
        guard timer >= 0 else { throw NodeError("cannot make a timer: \(errorText(-timer))") }
        let watch = pt_clock_watch()
        guard watch >= 0 else {
            close(timer)
            throw NodeError("cannot watch the clock: \(errorText(-watch))")
        }
        (self.timer, self.watch) = (timer, watch)
    }

    deinit {
        close(timer)
        close(watch)
    }

    /// Sets the moment of the next ringing; what was set before is forgotten.
    package func set(_ moment: BootTime?) {
        // Zero would disarm it: what is past rings at once.
        let status = pt_boot_timer_at(timer, moment.map { max($0.rawValue, 1) } ?? 0)
        precondition(status >= 0, "a timer of our own takes every moment")
    }

    /// Calls `body` whenever it rings, until the task is cancelled. What rings while `body` works, rings once more.
    package func ringing(_ body: @Sendable () async -> Void) async throws(NodeError) {
        let stop = try StopSignal()
        let (rings, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        await withDiscardingTaskGroup { group in
            group.addTask { [self] in
                await onThread("postern-alarm", stop: stop) {
                    while true {
                        let ready = readable([stop.descriptor, self.timer, self.watch])
                        if ready.contains(0) { break }
                        if ready.contains(1) { pt_timer_drain(self.timer) }
                        if ready.contains(2) {
                            pt_timer_drain(self.watch)
                            pt_clock_watch_again(self.watch)
                        }
                        if !ready.isEmpty { continuation.yield() }
                    }
                    continuation.finish()
                }
            }
            for await _ in rings { await body() }
            group.cancelAll()
        }
    }
}
