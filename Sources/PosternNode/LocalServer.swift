import Foundation
import Glibc

/// Listens on the Unix socket and turns what comes in into requests.
///
/// One thread reads all connections; one that sends nonsense, too much, or nothing for long, is closed.
package struct LocalServer: Sendable {
    package let path: String
    private let listener: Int32
    private let patience: Duration
    private let evidence: PeerEvidence

    /// Binds the socket, in place of one that a daemon before this left behind. Who asks nothing for as long as
    /// `patience` is sent away.
    package init(
        path: String, patience: Duration = .seconds(10), evidence: PeerEvidence = .kernel
    ) throws(NodeError) {
        (self.path, self.patience, self.evidence) = (path, patience, evidence)
        listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard listener >= 0 else { throw NodeError("cannot make a socket: \(errorText())") }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let capacity = MemoryLayout.size(ofValue: address.sun_path)
        guard path.utf8.count < capacity else { throw NodeError("the socket's path `\(path)` is too long") }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: Array(path.utf8)) }
        unsafe unlink(path)
        let bound = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                unsafe bind(listener, pointer, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        // Anybody may ask: who asks is what the kernel says, and what he may do is decided for each request.
        guard bound == 0, unsafe chmod(path, 0o666) == 0, listen(listener, 64) == 0 else {
            let reason = errorText()
            close(listener)
            throw NodeError("cannot listen on `\(path)`: \(reason)")
        }
    }

    /// Serves until the task is cancelled; each connection runs as a child task.
    package func run(_ handle: @escaping @Sendable (LocalConnection) async -> Void) async throws(NodeError) {
        let stop = try StopSignal()
        let (connections, continuation) = AsyncStream.makeStream(
            of: LocalConnection.self, bufferingPolicy: .bufferingOldest(Reception.places))
        let (listener, path, patience, evidence) = (listener, path, patience, evidence)
        await withDiscardingTaskGroup { group in
            group.addTask {
                await onThread("postern-local", stop: stop) {
                    // Nobody keeps this machine busy by asking.
                    Precedence.giveUp()
                    var reception = Reception(listener: listener, stop: stop, patience: patience, evidence: evidence)
                    reception.run { continuation.yield($0) }
                    continuation.finish()
                    close(listener)
                    unsafe unlink(path)
                }
            }
            for await connection in connections {
                group.addTask {
                    await handle(connection)
                    connection.hangUp()
                }
            }
            group.cancelAll()
        }
    }
}
