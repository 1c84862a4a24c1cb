import Glibc
package import Mesh

/// A UDP socket on the node's own mesh address.
package final class MeshSocket: Sendable {
    package let descriptor: Int32
    package let address: IPv4Address

    /// The address need not be there yet: the socket is opened once, and the device may come and go.
    package init(_ address: IPv4Address, port: UInt16 = Courier.port) throws(NodeError) {
        self.address = address
        let type = Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        descriptor = socket(AF_INET, type, 0)
        guard descriptor >= 0 else { throw NodeError("cannot make a socket: \(errorText())") }
        var on: Int32 = 1
        let length = socklen_t(MemoryLayout<Int32>.size)
        guard unsafe setsockopt(descriptor, Int32(IPPROTO_IP), IP_FREEBIND, &on, length) == 0,
            (unsafe withAddress(address, port) { unsafe bind(descriptor, $0, $1) }) == 0
        else { throw NodeError("cannot listen at \(address):\(port): \(errorText())") }
    }

    deinit { close(descriptor) }

    /// Sends a datagram; whether the kernel took it.
    @discardableResult
    package func send(_ bytes: [UInt8], to address: IPv4Address, port: UInt16 = Courier.port) -> Bool {
        let sent = unsafe withAddress(address, port) { target, length in
            unsafe sendto(descriptor, bytes, bytes.count, Int32(MSG_DONTWAIT), target, length)
        }
        return sent == bytes.count
    }

    /// The next datagram that waits, and from where it came; nil when none does. What is too long is cut, and so is none.
    package func receive() -> (bytes: [UInt8], from: IPv4Address, port: UInt16)? {
        var bytes = [UInt8](repeating: 0, count: Courier.longestDatagram + 1)
        var source = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let size = bytes.count
        let count = unsafe withUnsafeMutablePointer(to: &source) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                unsafe recvfrom(descriptor, &bytes, size, Int32(MSG_DONTWAIT), pointer, &length)
            }
        }
        guard count >= 0, source.sin_family == sa_family_t(AF_INET) else { return nil }
        return (
            Array(bytes.prefix(count)), IPv4Address(rawValue: UInt32(bigEndian: source.sin_addr.s_addr)),
            UInt16(bigEndian: source.sin_port)
        )
    }
}

private func withAddress<Result>(
    _ address: IPv4Address, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
) -> Result {
    var target = sockaddr_in()
    target.sin_family = sa_family_t(AF_INET)
    target.sin_port = port.bigEndian
    target.sin_addr.s_addr = address.rawValue.bigEndian
    return unsafe withUnsafePointer(to: &target) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
            unsafe body(pointer, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
}
