import CLinux
import Foundation
import Glibc

/// Who is at the other end of the local socket, as the kernel tells.
package struct Caller: Equatable, Sendable {
    package let pid: Int32
    package let uid: UInt32
    package let gid: UInt32

    /// Reads the caller, and refuses one from inside a session or a container: its network, pid and user namespaces
    /// must be the daemon's own, and its cgroup no session's.
    init(of connection: LocalConnection) throws(NodeError) {
        var peer = pt_peer()
        let status = unsafe pt_unix_peer(connection.descriptor, &peer)
        guard status >= 0 else { throw NodeError("the kernel does not say who asks: \(errorText(-status))") }
        (pid, uid, gid) = (peer.pid, peer.uid, peer.gid)
        try connection.peer.get().check { pid throws(NodeError) in
            for (file, kind) in [("net", "network"), ("pid", "process"), ("user", "user")] {
                guard let own = namespace(file, of: "self"), own == namespace(file, of: "\(pid)") else {
                    throw NodeError("posternd answers only processes in its own \(kind) namespace")
                }
            }
            guard let cgroups = try? String(contentsOfFile: "/proc/\(pid)/cgroup", encoding: .utf8),
                !Self.isSession(cgroups: cgroups)
            else { throw NodeError("posternd does not answer processes in the cgroup of a session") }
        }
    }
}

extension Caller {
    /// Whether a process is where sessions are kept, by the text of its `/proc/PID/cgroup`.
    static func isSession(cgroups text: String) -> Bool {
        // `0` is the tree of version 2. What cannot be read is not trusted.
        let paths = text.split(separator: "\n").filter { $0.hasPrefix("0::") }
        return paths.isEmpty || paths.contains { $0.hasPrefix("0::/postern/") }
    }

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
