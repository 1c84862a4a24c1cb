import CLinux
import Foundation
import Mesh

/// The pseudo-terminal of a session that was started at one.
///
/// It is made in the session's own `/dev/pts`, so that programs find it by its name. Its outer end goes to whoever
/// started the session, over the socket that came as standard input, and is kept by nobody else: when he goes, the
/// session's programs are hung up, as at any terminal. Nothing of Postern stands between the two.
enum SessionTerminal {
    /// Puts the inner end into the place of each standard stream that is the socket.
    static func replaceStreams(size: TerminalSize, uid: UInt32, gid: UInt32) throws(SandboxError) {
        guard pt_socket_domain(0) == AF_UNIX, pt_socket_type(0) == Int32(SOCK_SEQPACKET.rawValue) else {
            throw SandboxError(.descriptors, "a terminal was asked for without the socket that its other end goes to")
        }
        var (outerNumber, innerNumber): (Int32, Int32) = (-1, -1)
        try kernel(
            unsafe pt_terminal_pair(uid, gid, &outerNumber, &innerNumber), .descriptors,
            "cannot make the session's terminal")
        let outer = Descriptor(owning: outerNumber)
        let inner = Descriptor(owning: innerNumber)
        try kernel(
            pt_terminal_resize(outer.number, pt_terminal_size(rows: size.rows, columns: size.columns)), .descriptors,
            "cannot set the size of the session's terminal")
        try handOver(outer)
        let replaced = (0..<Int32(3)).filter { isSameSocket($0, 0) }
        for stream in replaced {
            try system(dup2(inner.number, stream), .descriptors, "cannot give the session its terminal")
        }
    }

    /// Never waits: whoever does not take it, has no terminal.
    private static func handOver(_ outer: borrowing Descriptor) throws(SandboxError) {
        guard fcntl(0, F_SETFL, O_NONBLOCK) == 0 else {
            throw SandboxError(.descriptors, "cannot hand the session's terminal over: \(errorText(errno))")
        }
        var number = outer.number
        let sent = unsafe pt_unix_send(0, "t", 1, &number, 1)
        try kernel(Int32(clamping: sent), .descriptors, "cannot hand the session's terminal over")
    }

    private static func isSameSocket(_ one: Int32, _ other: Int32) -> Bool {
        var (first, second) = (stat(), stat())
        guard unsafe fstat(one, &first) == 0, unsafe fstat(other, &second) == 0 else { return false }
        return (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino)
    }
}
