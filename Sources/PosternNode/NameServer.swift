import CLinux
import Glibc
import Mesh
import Synchronization

/// Answers for the names of the mesh, to programs of this machine and to nobody else.
///
/// It listens by UDP at port 53 of the node's own mesh address, on the loopback interface alone: what comes out of a
/// tunnel, an agent's bytes above all, does not come by that interface, so the kernel gives it to somebody else or to nobody.
final class NameServer: Sendable {
    static var port: Port {
        guard let port = Port(rawValue: 53) else { preconditionFailure("53 is a port") }
        return port
    }

    private let map = Mutex<NetworkMap?>(nil)

    /// From now on these are the names; nil when there are none to be sure of.
    func show(_ map: NetworkMap?) { self.map.withLock { $0 = map } }

    /// The answer to a datagram; nil for none.
    func answer(to datagram: [UInt8]) -> [UInt8]? {
        let query: NameQuery
        do { query = try NameQuery(datagram) } catch {
            guard case .code(let code, let id) = error else { return nil }
            return NameAnswer.bytes(of: code, id: id)
        }
        guard let map = map.withLock({ $0 }) else { return NameAnswer(code: .failed).bytes(to: query) }
        return MeshNames(map: map).answer(to: query).bytes(to: query)
    }

    /// Serves at a socket of ``open(at:)``, which it closes, until the task is cancelled.
    func serve(_ socket: Int32) async throws(NodeError) {
        let stop = try StopSignal()
        await onThread("postern-names", stop: stop) { [self] in
            while !readable([stop.descriptor, socket]).contains(0) { answerOne(at: socket) }
            close(socket)
        }
    }

    private func answerOne(at socket: Int32) {
        var datagram = [UInt8](repeating: 0, count: NameQuery.maximumLength + 1)
        var asker = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let capacity = datagram.count
        let count = unsafe withUnsafeMutablePointer(to: &asker) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                unsafe recvfrom(socket, &datagram, capacity, Int32(MSG_DONTWAIT), pointer, &length)
            }
        }
        guard count > 0, let answer = answer(to: Array(datagram.prefix(count))) else { return }
        _ = unsafe withUnsafePointer(to: &asker) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                unsafe sendto(socket, answer, answer.count, Int32(MSG_DONTWAIT | MSG_NOSIGNAL), pointer, length)
            }
        }
    }

    /// A socket at a mesh address that may come only later, and go.
    static func open(at address: IPv4Address) throws(NodeError) -> Int32 {
        let type = Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = socket(AF_INET, type, 0)
        guard descriptor >= 0 else { throw NodeError("cannot make a socket for names: \(errorText())") }
        let loopback = Array("lo".utf8)
        var on = Int32(1)
        let size = socklen_t(MemoryLayout<Int32>.size)
        guard unsafe setsockopt(descriptor, SOL_SOCKET, SO_BINDTODEVICE, loopback, socklen_t(loopback.count)) == 0,
            unsafe setsockopt(descriptor, Int32(IPPROTO_IP), IP_FREEBIND, &on, size) == 0,
            unsafe withSocketAddress(address, port, { unsafe bind(descriptor, $0, $1) == 0 })
        else {
            let reason = errorText()
            close(descriptor)
            throw NodeError("cannot answer for names at \(address):\(port): \(reason)")
        }
        return descriptor
    }
}
