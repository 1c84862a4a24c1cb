import CLinux
import Glibc
import Mesh
import Synchronization

/// Answers for the names of the mesh, to programs of this machine and to nobody else.
///
/// It listens by UDP at port 53 of a loopback address. The kernel takes packets for such an address from no other
/// interface, and no session's namespace has this machine's loopback: neither a neighbour nor an agent can ask. At the
/// node's mesh address the socket could not tell: the kernel says of a packet that this machine sends to its own
/// mesh address that it came by the mesh device, as it says of one that came out of the tunnel.
final class NameServer: Sendable {
    /// Away from 127.0.0.1 and 127.0.0.53, where resolvers of the machine are.
    static var address: IPv4Address { IPv4Address(rawValue: 0x7f2f_2f35) }
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

    /// Serves at a socket of ``open()``, which it closes, until the task is cancelled.
    func serve(_ socket: Int32) async throws(NodeError) {
        let stop = try StopSignal()
        await onThread("postern-names", stop: stop) { [self] in
            // Nobody keeps this machine busy by asking.
            Precedence.giveUp()
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

    static func open() throws(NodeError) -> Int32 {
        let type = Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = socket(AF_INET, type, 0)
        guard descriptor >= 0 else { throw NodeError("cannot make a socket for names: \(errorText())") }
        guard unsafe withSocketAddress(address, port, { unsafe bind(descriptor, $0, $1) == 0 }) else {
            let reason = errorText()
            close(descriptor)
            throw NodeError("cannot answer for names at \(address):\(port): \(reason)")
        }
        return descriptor
    }
}
