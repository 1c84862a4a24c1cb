import Dispatch
import Foundation
import Glibc

/// Runs the jobs of an actor one after another on a queue of its own.
///
/// Kernel calls block for milliseconds, and a program to be started for longer: neither may hold a thread of the
/// concurrency pool.
package final class QueueExecutor: SerialExecutor {
    private let queue: DispatchQueue

    package init(label: String) { queue = DispatchQueue(label: label) }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let executor = unsafe asUnownedSerialExecutor()
        queue.async { unsafe job.runSynchronously(on: executor) }
    }
}

/// A descriptor that becomes readable when something is to end, so that a thread in `poll` can be told.
package final class StopSignal: Sendable {
    package let descriptor: Int32
    private let raised: Int32

    package init() throws(NodeError) {
        var pair: [Int32] = [-1, -1]
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        guard unsafe socketpair(AF_UNIX, type, 0, &pair) == 0 else {
            throw NodeError("cannot make a pair of sockets: \(errorText())")
        }
        (descriptor, raised) = (pair[0], pair[1])
    }

    package func signal() { shutdown(raised, Int32(SHUT_RDWR)) }

    deinit {
        close(descriptor)
        close(raised)
    }
}

/// Runs a blocking loop on a thread of its own until it returns; cancelling the task raises `stop`.
package func onThread(
    _ name: String, stop: StopSignal, _ body: @escaping @Sendable () -> Void
) async {
    await withTaskCancellationHandler {
        await withCheckedContinuation { continuation in
            let thread = Thread {
                body()
                continuation.resume()
            }
            thread.name = name
            thread.start()
        }
    } onCancel: {
        stop.signal()
    }
}

/// Waits until one of the descriptors can be read, or has ended; the indices of those.
func readable(_ descriptors: [Int32], timeout: Int32 = -1) -> [Int] {
    var entries = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    let count = nfds_t(entries.count)
    guard unsafe poll(&entries, count, timeout) > 0 else { return [] }
    return entries.indices.filter { entries[$0].revents != 0 }
}
