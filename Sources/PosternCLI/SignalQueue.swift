import CLinux
import Glibc

/// Owns a descriptor that becomes readable when a signal comes that the command should get in our place.
///
/// Signals are blocked for the thread that makes it until it is gone; made on the main thread before others start, for
/// they inherit that.
struct SignalQueue: ~Copyable {
    let descriptor: Int32
    private let before: sigset_t

    static let forwarded: Set<Int32> = [SIGINT, SIGTERM, SIGHUP, SIGQUIT]

    init() throws(CommandFailure) {
        var mask = sigset_t()
        unsafe pthread_sigmask(SIG_BLOCK, nil, &mask)
        let reader = pt_signal_reader()
        guard reader >= 0 else { throw CommandFailure("cannot receive signals: \(systemReason(-reader))") }
        (descriptor, before) = (reader, mask)
    }

    deinit {
        close(descriptor)
        var before = before
        unsafe pthread_sigmask(SIG_SETMASK, &before, nil)
    }

    /// The signals that came and are the command's to handle.
    borrowing func pending() -> [Int32] {
        var signals: [Int32] = []
        while true {
            let signal = pt_signal_read(descriptor)
            guard signal > 0 else { return signals }
            if Self.forwarded.contains(signal) { signals.append(signal) }
        }
    }
}
