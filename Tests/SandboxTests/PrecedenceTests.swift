import CLinux
import Foundation
import Glibc
import Testing

@testable import Sandbox

@Suite struct PrecedenceTests {
    @Test func `who precedes others is of real time, and so are the threads that it makes`() async {
        let policies = await onThread {
            let status = pt_precede(0)
            let inner = AsyncStream.makeStream(of: Int32.self)
            Thread { inner.continuation.yield(sched_getscheduler(0)) }.start()
            return (status, own: sched_getscheduler(0), inner.stream)
        }
        #expect(policies.0 == 0)
        #expect(policies.own == SCHED_RR)
        #expect(await policies.2.first { _ in true } == SCHED_RR)
    }

    @Test func `a program that it starts waits for its turn`() async throws {
        let policy = try await onThread {
            Result {
                #expect(pt_precede(0) == 0)
                let (pid, pidfd) = try Program(
                    path: "/bin/sleep", arguments: ["sleep", "600"], environment: [:], directory: "/", descriptors: []
                ).start()
                defer {
                    _ = pt_pidfd_signal(pidfd, SIGKILL)
                    waitpid(pid, nil, 0)
                    close(pidfd)
                }
                return sched_getscheduler(pid)
            }
        }.get()
        #expect(policy == SCHED_OTHER)
    }

    @Test func `precedence can be given up, and who has none stays as it is`() async {
        let policies = await onThread {
            let before = (pt_wait_in_turn(), sched_getscheduler(0))
            _ = pt_precede(0)
            return (before, after: (pt_wait_in_turn(), sched_getscheduler(0)))
        }
        #expect(policies.0 == (0, SCHED_OTHER))
        #expect(policies.after == (0, SCHED_OTHER))
    }

    /// Precedence is a thread's own: this one ends with what it was given.
    private func onThread<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async -> Result {
        await withCheckedContinuation { continuation in
            Thread { continuation.resume(returning: body()) }.start()
        }
    }
}
