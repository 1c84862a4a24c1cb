internal import CMnl
internal import Glibc
internal import Synchronization

/// Owns one netlink socket of one network namespace; a conversation at a time.
struct NetlinkSocket: ~Copyable, Sendable {
    /// An error number of the kernel, or ETIMEDOUT.
    struct Failure: Error, Equatable { let errno: Int32 }

    private let descriptor: Int32
    private let lastSequence = Mutex<UInt32>(0)

    init(owning descriptor: Int32) {
        self.descriptor = descriptor
        // The kernel answers within the call; the limit is for the day when it does not.
        var limit = timeval(tv_sec: 2, tv_usec: 0)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    /// Makes one change, or asks for one thing, and waits for the kernel's word on it (`NLM_F_ACK`).
    @discardableResult
    borrowing func ask(_ request: consuming NetlinkRequest) throws(Failure) -> [NetlinkMessage] {
        try converse(request)
    }

    /// Asks for everything of a kind. What changes meanwhile makes the list inconsistent, so it is asked again.
    borrowing func dump(_ request: () -> NetlinkRequest) throws(Failure) -> [NetlinkMessage] {
        for _ in 0..<8 {
            let messages = try converse(request())
            if !messages.contains(where: { Int32($0.flags) & NLM_F_DUMP_INTR != 0 }) { return messages }
        }
        throw Failure(errno: EAGAIN)
    }

    private borrowing func converse(_ request: consuming NetlinkRequest) throws(Failure) -> [NetlinkMessage] {
        try lastSequence.withLock { (last: inout UInt32) throws(Failure) in
            last &+= 1
            try send(request.bytes(sequence: last))
            return try receive(sequence: last)
        }
    }

    private borrowing func send(_ bytes: [UInt8]) throws(Failure) {
        let sent = unsafe Glibc.send(descriptor, bytes, bytes.count, 0)
        guard sent == bytes.count else { throw Failure(errno: sent < 0 ? errno : EIO) }
    }

    private borrowing func receive(sequence: UInt32) throws(Failure) -> [NetlinkMessage] {
        var result: [NetlinkMessage] = []
        var buffer = [UInt8](repeating: 0, count: Self.datagramLimit)
        var left = Self.answerLimit
        while true {
            // With MSG_TRUNC the length is that of the datagram, whether it fitted or not.
            let count = unsafe recv(descriptor, &buffer, buffer.count, Int32(MSG_TRUNC))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Failure(errno: count == 0 ? EIO : errno == EAGAIN ? ETIMEDOUT : errno) }
            left -= count
            guard count <= buffer.count, left >= 0 else { throw Failure(errno: EMSGSIZE) }
            for message in NetlinkMessage.parse(Array(buffer[..<count])) where message.sequence == sequence {
                switch Int32(message.type) {
                case NLMSG_ERROR, NLMSG_DONE:
                    // The end of a list may be an error, too: one that came up half way.
                    guard let code = message.header(Int32.self) else { throw Failure(errno: EBADMSG) }
                    guard code == 0 else { throw Failure(errno: code == .min ? EBADMSG : abs(code)) }
                    return result
                default: result.append(message)
                }
            }
        }
    }

    /// The kernel puts no more than 32 KiB of a list into one datagram.
    private static let datagramLimit = 65536

    /// A device with 65,000 peers answers with some 15 MB.
    private static let answerLimit = 64 << 20
}
