import Glibc
import Mesh

@testable import WireGuard

/// A UDP socket of IPv4 in some namespace whose waiting ends.
struct UDPSocket: ~Copyable {
    private let descriptor: Int32

    init(in namespace: borrowing NetworkNamespace, at address: IPv4Address, port: UInt16 = 0) throws {
        let opened = try namespace.socket(domain: AF_INET, type: 2, protocol: 0)
        var limit = timeval(tv_sec: 10 * slowness, tv_usec: 0)
        unsafe setsockopt(opened, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        guard unsafe withSocketAddress(address, port, { unsafe bind(opened, $0, $1) }) == 0 else {
            let number = errno
            close(opened)
            throw SocketError(errno: number)
        }
        descriptor = opened
    }

    deinit { close(descriptor) }

    borrowing func send(_ byte: UInt8, to address: IPv4Address, port: UInt16) throws {
        var byte = byte
        let sent = unsafe withSocketAddress(address, port) { unsafe sendto(descriptor, &byte, 1, 0, $0, $1) }
        guard sent == 1 else { throw SocketError(errno: errno) }
    }

    borrowing func receive() throws -> UInt8 {
        var byte: UInt8 = 0
        guard unsafe recv(descriptor, &byte, 1, 0) == 1 else { throw SocketError(errno: errno) }
        return byte
    }
}

func withSocketAddress<Result>(
    _ address: IPv4Address, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
) -> Result {
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_port = port.bigEndian
    name.sin_addr.s_addr = address.rawValue.bigEndian
    return unsafe withUnsafePointer(to: name) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
            unsafe body(generic, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
}
