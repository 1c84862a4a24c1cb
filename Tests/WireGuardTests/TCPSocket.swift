import Glibc
import Mesh

@testable import WireGuard

struct SocketError: Error { let errno: Int32 }

/// A blocking TCP socket in some namespace whose calls give up in time.
struct TCPSocket: ~Copyable {
    private let descriptor: Int32

    init(in namespace: borrowing NetworkNamespace, patience seconds: Int) throws {
        descriptor = try namespace.socket(domain: AF_INET, type: 1, protocol: 0)
        var limit = timeval(tv_sec: seconds, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            unsafe setsockopt(descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
        }
    }

    private init(owning descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// The port, which is the kernel's choice: while a program starts, it holds a copy of each socket of this
    /// process, and so keeps a port busy that was closed here.
    func listen(on address: IPv4Address) throws -> UInt16 {
        try bind(to: address, port: 0)
        try check(Glibc.listen(descriptor, 1))
        var name = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        try check(
            unsafe withUnsafeMutablePointer(to: &name) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe getsockname(descriptor, $0, &length)
                }
            })
        return UInt16(bigEndian: name.sin_port)
    }

    func bind(to address: IPv4Address, port: UInt16) throws {
        try check(unsafe withSocketAddress(address, port) { unsafe Glibc.bind(descriptor, $0, $1) })
    }

    func connect(to address: IPv4Address, port: UInt16) throws {
        try check(unsafe withSocketAddress(address, port) { unsafe Glibc.connect(descriptor, $0, $1) })
    }

    func accept() throws -> TCPSocket {
        TCPSocket(owning: try check(Glibc.accept(descriptor, nil, nil)))
    }

    func send(_ byte: UInt8) throws {
        var byte = byte
        try check(Int32(unsafe Glibc.send(descriptor, &byte, 1, 0)))
    }

    func receive() throws -> UInt8 {
        var byte: UInt8 = 0
        guard try check(Int32(unsafe recv(descriptor, &byte, 1, 0))) == 1 else { throw SocketError(errno: 0) }
        return byte
    }

    @discardableResult
    private func check(_ result: Int32) throws -> Int32 {
        guard result >= 0 else { throw SocketError(errno: errno) }
        return result
    }
}
