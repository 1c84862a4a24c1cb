import CLinux
import Foundation
import Glibc
import Sandbox

/// How posternd makes sure that the number of a process still means the one that connected.
package enum PeerEvidence: Sendable {
    /// What this kernel has: a pidfd of the connection's own (SO_PEERPIDFD, from 6.5), otherwise start times.
    case kernel
    /// What every kernel has: see ``PeerProcess``.
    case startTimes
}

/// The process that connected, held from when its connection was taken until the connection goes.
///
/// Where the connection has no pidfd of its own, one is opened by the number that the kernel recorded, and the start
/// time of whoever has that number is read before it and again with each question. A number that passed on in between
/// shows in one of the two, and one that had passed on before to another user shows in that user. What stays open is
/// the moment between connecting and being taken in, in which a process would have to end and its number to go round
/// to another process of the same user.
final class PeerProcess: Sendable {
    private let pid: Int32
    private let uid: UInt32
    private let pidfd: Int32
    /// In clock ticks since boot; nil where the pidfd is the connection's own.
    let startTime: UInt64?

    /// - Parameter descriptor: a connection that was just accepted.
    init(of descriptor: Int32, evidence: PeerEvidence) throws(NodeError) {
        var peer = pt_peer()
        let status = unsafe pt_unix_peer(descriptor, &peer)
        guard status >= 0 else { throw NodeError("the kernel does not say who asks: \(errorText(-status))") }
        (pid, uid) = (peer.pid, peer.uid)
        if evidence == .kernel {
            let own = pt_unix_peer_pidfd(descriptor)
            guard own == -ENOPROTOOPT else {
                (pidfd, startTime) = (try Self.opened(own), nil)
                return
            }
        }
        guard let time = EnclosureProcess.startTime(of: pid) else { throw Self.hasEnded }
        (pidfd, startTime) = (try Self.opened(pt_pidfd_open(pid)), time)
    }

    /// Takes over the pidfd.
    init(pid: Int32, uid: UInt32, pidfd: Int32, startTime: UInt64?) {
        (self.pid, self.uid, self.pidfd, self.startTime) = (pid, uid, pidfd, startTime)
    }

    deinit { close(pidfd) }

    /// Runs `look`, which reads what `/proc` says under the process's number, and throws unless that was the process
    /// that connected.
    func check(_ look: (Int32) throws(NodeError) -> Void) throws(NodeError) {
        try look(pid)
        if let startTime {
            guard Self.user(of: pid) == uid, EnclosureProcess.startTime(of: pid) == startTime else {
                throw Self.hasEnded
            }
        }
        // Last, and after all of the above: a process that has not been collected keeps its number.
        guard pt_pidfd_signal(pidfd, 0) >= 0 else { throw Self.hasEnded }
    }

    private static let hasEnded = NodeError("the process that asked has ended")

    private static func opened(_ pidfd: Int32) throws(NodeError) -> Int32 {
        guard pidfd >= 0 else { throw NodeError("the kernel does not say which process asks: \(errorText(-pidfd))") }
        return pidfd
    }

    /// The user as whom a process acts: the second number of `Uid:` in its status.
    private static func user(of pid: Int32) -> UInt32? {
        guard let text = try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("Uid:") })
        else { return nil }
        let fields = line.split(whereSeparator: { $0 == "\t" || $0 == " " })
        return fields.count > 2 ? UInt32(fields[2]) : nil
    }
}
