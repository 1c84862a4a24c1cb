internal import CMnl  // SOCK_STREAM, which Glibc alone does not always show
internal import Glibc

/// A connection to a Unix socket whose every wait has an end.
struct UnixSocket: ~Copyable {
    enum Failure: Error, Equatable {
        case system(Int32)
        case timedOut
        case tooLong
    }

    private let descriptor: Int32
    private let deadline: Deadline

    /// Connects; all that follows must be done within the time given.
    init(path: String, timeout: Duration) throws(Failure) {
        deadline = Deadline(in: timeout)
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        descriptor = socket(AF_UNIX, type, 0)
        guard descriptor >= 0 else { throw .system(errno) }
        try connect(to: path)
    }

    deinit { close(descriptor) }

    private borrowing func connect(to path: String) throws(Failure) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        let fits = unsafe withUnsafeMutableBytes(of: &address.sun_path) { field in
            guard bytes.count < field.count else { return false }
            unsafe field.copyBytes(from: bytes)
            return true
        }
        guard fits else { throw .system(ENAMETOOLONG) }
        while true {
            let result = unsafe withUnsafePointer(to: address) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                    unsafe Glibc.connect(descriptor, generic, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            if result == 0 { return }
            guard errno != EINTR else { continue }
            // A full backlog: the other side accepts too slowly, and poll() does not wait for it.
            guard errno == EAGAIN else { throw .system(errno) }
            guard !deadline.hasPassed else { throw .timedOut }
            usleep(5000)
        }
    }

    /// The process that listens.
    borrowing func peerProcess() throws(Failure) -> pid_t {
        // struct ucred: pid, uid, gid.
        var credentials: (pid: Int32, uid: UInt32, gid: UInt32) = (0, 0, 0)
        var length = socklen_t(MemoryLayout.size(ofValue: credentials))
        guard unsafe getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0 else {
            throw .system(errno)
        }
        return credentials.pid
    }

    borrowing func send(_ text: String) throws(Failure) {
        let bytes = Array(text.utf8)
        var sent = 0
        while sent < bytes.count {
            let count = unsafe bytes[sent...].withUnsafeBytes { rest in
                unsafe Glibc.send(descriptor, rest.baseAddress, rest.count, Int32(MSG_NOSIGNAL))
            }
            if count > 0 { sent += count } else { try waitOrThrow(for: POLLOUT) }
        }
    }

    /// Everything up to and with the first blank line, or what came before the other side closed.
    borrowing func receiveMessage(limit: Int) throws(Failure) -> [UInt8] {
        var message: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        let newline = UInt8(ascii: "\n")
        while message.suffix(2) != [newline, newline] {
            let count = unsafe buffer.withUnsafeMutableBytes { space in
                unsafe recv(descriptor, space.baseAddress, space.count, 0)
            }
            if count == 0 { return message }
            guard count > 0 else {
                try waitOrThrow(for: POLLIN)
                continue
            }
            message += buffer[..<count]
            guard message.count <= limit, !deadline.hasPassed else {
                throw message.count > limit ? .tooLong : .timedOut
            }
        }
        return message
    }

    private borrowing func waitOrThrow(for events: Int32) throws(Failure) {
        guard errno == EAGAIN || errno == EINTR else { throw .system(errno) }
        var request = pollfd(fd: descriptor, events: Int16(events), revents: 0)
        let ready = unsafe poll(&request, 1, deadline.milliseconds)
        guard ready != 0 else { throw .timedOut }
        guard ready > 0 || errno == EINTR else { throw .system(errno) }
    }
}
