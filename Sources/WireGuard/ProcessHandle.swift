internal import CLinux
internal import Glibc

/// Owns one descriptor of a process, which stands for no other even when its id is given away.
struct ProcessHandle: ~Copyable, Sendable {
    private let descriptor: Int32

    /// Nil when there is no such process.
    init?(_ identifier: pid_t) throws(SystemError) {
        let opened = pt_pidfd_open(identifier)
        // The others tell of an id that a thread of some process has.
        guard ![-ESRCH, -ENOENT, -EINVAL].contains(opened) else { return nil }
        guard opened >= 0 else { throw SystemError(errno: -opened) }
        descriptor = opened
    }

    deinit { close(descriptor) }

    /// A process that is gone takes no signal, and that is as well.
    borrowing func send(_ signal: Int32) { pt_pidfd_signal(descriptor, signal) }

    /// Waits until its last thread has ended: `/proc` calls it a zombie when the first has, and until the last has
    /// it cannot be collected.
    borrowing func isGone(within patience: Duration) -> Bool {
        let deadline = Deadline(in: patience)
        while true {
            var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let ready = unsafe poll(&request, 1, deadline.milliseconds)
            if ready >= 0 || errno != EINTR { return ready > 0 }
        }
    }

    /// Collects the process if it is a child of ours that is gone.
    borrowing func collect() {
        var ending = pt_ending()
        unsafe pt_pidfd_reap(descriptor, &ending)
    }

    /// Has an epoll descriptor tell when the process has ended.
    borrowing func register(with epoll: Int32, as number: UInt64) -> Bool {
        pt_epoll_add(epoll, descriptor, number) == 0
    }
}
