import Glibc
import Synchronization

/// Owns a descriptor that becomes readable when a signal comes that the command should get in our place.
///
/// A handler writes the signal's number into a pipe. A blocked mask and `signalfd` would not do: the first thread of a
/// program with Swift's main queue waits in `sigsuspend`, with every signal let in.
struct SignalQueue: ~Copyable {
    /// The end that becomes readable.
    let descriptor: Int32
    private let writer: Int32
    private let before: [(signal: Int32, action: sigaction)]

    static let forwarded = [SIGINT, SIGTERM, SIGHUP, SIGQUIT]
    /// And one that is for us: our terminal has another size.
    private static let caught = forwarded + [SIGWINCH]

    /// There can be one at a time: signals are the process's.
    init() throws(CommandFailure) {
        var ends: [Int32] = [-1, -1]
        guard unsafe pipe(&ends) == 0 else {
            throw CommandFailure("cannot receive signals: \(systemReason(errno))")
        }
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        guard handlersEnd.compareExchange(expected: -1, desired: ends[1], ordering: .sequentiallyConsistent).exchanged
        else {
            close(ends[0])
            close(ends[1])
            throw CommandFailure("cannot receive signals: another part of this process does")
        }
        (descriptor, writer) = (ends[0], ends[1])
        before = Self.caught.map { signal in
            var (old, new) = (sigaction(), sigaction())
            unsafe new.__sigaction_handler.sa_handler = passOn
            new.sa_flags = SA_RESTART
            unsafe sigaction(signal, &new, &old)
            return (signal, old)
        }
    }

    deinit {
        for (signal, action) in before {
            var action = action
            unsafe sigaction(signal, &action, nil)
        }
        handlersEnd.store(-1, ordering: .sequentiallyConsistent)
        close(descriptor)
        close(writer)
    }

    /// The signals that came.
    borrowing func pending() -> [Int32] {
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = unsafe bytes.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, $0.count) }
        return bytes.prefix(max(0, count)).map { Int32($0) }
    }
}

/// Where the handler writes: a handler gets no argument of its own, so this cannot be anybody's member.
private let handlersEnd = Atomic<Int32>(-1)

/// Calls nothing but `write`, which is safe in a signal handler, and leaves `errno` as it was.
private func passOn(_ signal: Int32) {
    let before = errno
    var byte = UInt8(truncatingIfNeeded: signal)
    unsafe write(handlersEnd.load(ordering: .sequentiallyConsistent), &byte, 1)
    errno = before
}
