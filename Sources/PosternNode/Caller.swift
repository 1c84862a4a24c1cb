import CLinux
import Glibc

/// Who is at the other end of the local socket, as the kernel tells.
package struct Caller: Equatable, Sendable {
    package let pid: Int32
    package let uid: UInt32
    package let gid: UInt32

    /// Reads the caller, and refuses one from inside a session or a container: its network, pid and user namespaces
    /// must be the daemon's own.
    ///
    /// A pid can be given again while we look, so the connection's own pidfd is asked whether that one still lives.
    init(of connection: LocalConnection) throws(NodeError) {
        var peer = pt_peer()
        let status = unsafe pt_unix_peer(connection.descriptor, &peer)
        guard status >= 0 else { throw NodeError("the kernel does not say who asks: \(errorText(-status))") }
        (pid, uid, gid) = (peer.pid, peer.uid, peer.gid)
        let pidfd = pt_unix_peer_pidfd(connection.descriptor)
        guard pidfd >= 0 else { throw NodeError("the kernel does not say which process asks: \(errorText(-pidfd))") }
        defer { close(pidfd) }
        for (file, kind) in [("net", "network"), ("pid", "process"), ("user", "user")] {
            guard let own = namespace(file, of: "self"), own == namespace(file, of: "\(pid)") else {
                throw NodeError("posternd answers only processes in its own \(kind) namespace")
            }
        }
        guard pt_pidfd_signal(pidfd, 0) >= 0 else { throw NodeError("the process that asked has ended") }
    }
}

extension Caller {
    /// Whose connection it is, for counting; nil when the kernel does not say.
    static func uid(of descriptor: Int32) -> UInt32? {
        var peer = pt_peer()
        return unsafe pt_unix_peer(descriptor, &peer) >= 0 ? peer.uid : nil
    }
}

/// The identity of a process's namespace: device and inode of its file.
private func namespace(_ kind: String, of process: String) -> [UInt64]? {
    var status = stat()
    guard unsafe stat("/proc/\(process)/ns/\(kind)", &status) == 0 else { return nil }
    return [UInt64(status.st_dev), UInt64(status.st_ino)]
}
