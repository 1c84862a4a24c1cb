import Datapath
import Glibc
import Mesh
import WireGuard

/// One way of finding out whether somebody answers through the mesh, and how fast.
enum Probe: Sendable {
    /// A TCP handshake, from a session's namespace.
    case connection(to: IPv4Address, Port, from: SessionPlace)
    /// An echo request, from a session's namespace.
    case echo(to: IPv4Address, from: SessionPlace)
    /// A greeting to another node.
    case greeting(from: IPv4Address, to: IPv4Address)

    private static let patience: Int32 = 1000

    /// Asks so often, a second apart, on a thread of its own; nil where no answer came within a second.
    func roundTrips(count: Int) async throws(NodeError) -> [Double?] {
        let stop = try StopSignal()
        let (times, continuation) = AsyncStream.makeStream(of: Double?.self)
        await onThread("postern-ping", stop: stop) {
            for number in 0..<count {
                let start = BootTime.now()
                let isAnswered = (try? ask()) ?? false
                let taken = BootTime.now() - start
                continuation.yield(isAnswered ? Self.milliseconds(taken) : nil)
                let rest = Int32(clamping: 1000 - taken.milliseconds)
                if number + 1 < count, rest > 0, !readable([stop.descriptor], timeout: rest).isEmpty { break }
            }
            continuation.finish()
        }
        var result: [Double?] = []
        for await time in times { result.append(time) }
        return result
    }

    /// Rounded to what a clock on a busy machine can tell.
    private static func milliseconds(_ span: Duration) -> Double {
        let (seconds, attoseconds) = span.components
        return Double(seconds * 100_000 + attoseconds / 10_000_000_000_000) / 100
    }

    private func ask() throws -> Bool {
        switch self {
        case .connection(let address, let port, let place): try Self.connects(to: address, port, from: place)
        case .echo(let address, let place): try Self.echoes(address, from: place)
        case .greeting(let source, let address): try Self.isGreeted(by: address, from: source)
        }
    }

    /// Refused is an answer too: somebody is there, and nothing listens.
    private static func connects(to address: IPv4Address, _ port: Port, from place: SessionPlace) throws -> Bool {
        let descriptor = try place.namespace.socket(
            domain: AF_INET, type: Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), protocol: 0)
        defer { close(descriptor) }
        guard connect(descriptor, address, port) else { return errno == ECONNREFUSED }
        var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        guard unsafe poll(&entry, 1, patience) > 0 else { return false }
        var (code, length) = (Int32(0), socklen_t(MemoryLayout<Int32>.size))
        unsafe getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length)
        return code == 0 || code == ECONNREFUSED
    }

    /// By the kernel's own socket for pings (`icmp(7)`), which numbers and sums up what it sends.
    private static func echoes(_ address: IPv4Address, from place: SessionPlace) throws -> Bool {
        let descriptor = try place.namespace.socket(
            domain: AF_INET, type: Int32(SOCK_DGRAM.rawValue), protocol: Int32(IPPROTO_ICMP))
        defer { close(descriptor) }
        let isConnected = unsafe withSocketAddress(address, nil) { unsafe Glibc.connect(descriptor, $0, $1) == 0 }
        let request: [UInt8] = [8, 0, 0, 0, 0, 0, 0, 1]
        guard isConnected,
            unsafe send(descriptor, request, request.count, Int32(MSG_NOSIGNAL)) == request.count,
            !readable([descriptor], timeout: patience).isEmpty
        else { return false }
        var reply = [UInt8](repeating: 0, count: 64)
        // An error that came back is read as one.
        return unsafe recv(descriptor, &reply, reply.count, Int32(MSG_DONTWAIT)) >= request.count && reply[0] == 0
    }

    private static func isGreeted(by address: IPv4Address, from source: IPv4Address) throws -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw NodeError("cannot make a socket: \(errorText())") }
        defer { close(descriptor) }
        var generator = SystemRandomNumberGenerator()
        let greeting = Greeting.random(using: &generator)
        // Connected, so that the kernel hands us nothing but what the other end sends.
        guard bind(descriptor, source), connect(descriptor, address, Greeting.port) else { return false }
        let question = greeting.question
        guard unsafe send(descriptor, question, question.count, Int32(MSG_NOSIGNAL)) == question.count else {
            return false
        }
        let deadline = BootTime.now() + .milliseconds(Int64(patience))
        while true {
            let left = (deadline - BootTime.now()).milliseconds
            guard left > 0, !readable([descriptor], timeout: Int32(clamping: left)).isEmpty else { return false }
            var answer = [UInt8](repeating: 0, count: 64)
            let count = unsafe recv(descriptor, &answer, answer.count, Int32(MSG_DONTWAIT))
            if count > 0, greeting.isAnswered(by: Array(answer.prefix(count))) { return true }
            if count < 0, errno == ECONNREFUSED { return false }
        }
    }

    private static func connect(_ descriptor: Int32, _ address: IPv4Address, _ port: Port) -> Bool {
        unsafe withSocketAddress(address, port) { pointer, length in
            unsafe Glibc.connect(descriptor, pointer, length) == 0 || errno == EINPROGRESS
        }
    }

    private static func bind(_ descriptor: Int32, _ address: IPv4Address) -> Bool {
        unsafe withSocketAddress(address, nil) { pointer, length in unsafe Glibc.bind(descriptor, pointer, length) == 0
        }
    }
}

/// Lends an IPv4 address as the socket calls take it; no port leaves the choice to the kernel.
func withSocketAddress<Result>(
    _ address: IPv4Address, _ port: Port?, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
) -> Result {
    var socketAddress = sockaddr_in()
    socketAddress.sin_family = sa_family_t(AF_INET)
    socketAddress.sin_addr.s_addr = address.rawValue.bigEndian
    socketAddress.sin_port = (port?.rawValue ?? 0).bigEndian
    return unsafe withUnsafePointer(to: &socketAddress) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
            unsafe body(pointer, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
}
