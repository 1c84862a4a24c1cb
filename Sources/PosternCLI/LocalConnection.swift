import ArgumentParser
import CLinux
import CoordinationAPI
import Foundation
import Glibc
import Mesh

/// `--socket`
struct SocketOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The socket of posternd. Without it: POSTERN_SOCKET, then \(LocalFrame.defaultSocket).", valueName: "path"))
    var socket: String?

    var path: String {
        let environment = ProcessInfo.processInfo.environment["POSTERN_SOCKET"].flatMap { $0.isEmpty ? nil : $0 }
        return socket ?? environment ?? LocalFrame.defaultSocket
    }

    func connect() throws(CommandFailure) -> LocalConnection { try LocalConnection(path: path) }

    /// One question, one answer.
    func ask(
        _ request: LocalRequest, within limit: Duration = .seconds(30)
    ) throws(CommandFailure) -> LocalResponse {
        var connection = try connect()
        try connection.send(request)
        guard let answer = try connection.receive(within: limit) else {
            throw CommandFailure("posternd hung up without an answer: its log may say why")
        }
        if case .failed(let message) = answer { throw CommandFailure(message) }
        return answer
    }
}

/// Owns one connection to `posternd`.
struct LocalConnection: ~Copyable {
    let descriptor: Int32
    private let path: String
    private var reader: FrameReader

    init(path: String) throws(CommandFailure) {
        descriptor = try Self.connect(to: path)
        self.path = path
        reader = FrameReader()
    }

    deinit { close(descriptor) }

    /// Sends a request; the descriptors go with its first byte.
    borrowing func send(_ request: LocalRequest, descriptors: [Int32] = []) throws(CommandFailure) {
        let frame: [UInt8]
        do { frame = try LocalFrame.encode(request) } catch {
            throw CommandFailure("the request cannot be sent: \(error.reason)")
        }
        var rest = frame[...]
        var attached = descriptors
        while !rest.isEmpty {
            let sent = unsafe rest.withUnsafeBytes {
                unsafe pt_unix_send(descriptor, $0.baseAddress, $0.count, attached, attached.count)
            }
            if sent == -Int(EINTR) { continue }
            guard sent > 0 else {
                if sent == -Int(EBADF) { throw CommandFailure("standard input, output or error is closed") }
                throw CommandFailure("cannot write to posternd: \(systemReason(Int32(clamping: -sent)))")
            }
            rest = rest.dropFirst(sent)
            attached = []
        }
    }

    /// The next answer; nil when posternd hung up.
    mutating func receive(within limit: Duration) throws(CommandFailure) -> LocalResponse? {
        let deadline = ContinuousClock.now + limit
        while true {
            if let answer = try next() { return answer }
            let left = Swift.max(.zero, ContinuousClock.now.duration(to: deadline))
            var wait = [pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)]
            let ready = unsafe poll(&wait, 1, Int32(clamping: left.milliseconds))
            if ready < 0, errno == EINTR { continue }
            guard ready > 0 else {
                throw CommandFailure("posternd did not answer at `\(path)` within \(limit): its log may say why")
            }
            guard try fill() else { return nil }
        }
    }

    /// An answer that has arrived whole; nil when more bytes are needed.
    mutating func next() throws(CommandFailure) -> LocalResponse? {
        do {
            guard let body = try reader.next() else { return nil }
            return try JSON.decode(LocalResponse.self, from: body)
        } catch { throw CommandFailure("posternd's answer cannot be read: \(error.reason)") }
    }

    /// Takes what has arrived, waiting for the first byte; false when posternd hung up.
    mutating func fill() throws(CommandFailure) -> Bool {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        let count = unsafe chunk.withUnsafeMutableBytes { unsafe recv(descriptor, $0.baseAddress, $0.count, 0) }
        if count < 0, errno == EINTR { return true }
        if count == 0 || (count < 0 && errno == ECONNRESET) { return false }
        guard count > 0 else { throw CommandFailure("cannot read from posternd: \(systemReason(errno))") }
        reader.append(chunk.prefix(count))
        return true
    }

    private static func connect(to path: String) throws(CommandFailure) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path), !path.utf8.contains(0) else {
            throw CommandFailure("`\(path)` is too long for the path of a socket")
        }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: Array(path.utf8)) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw CommandFailure("cannot make a socket: \(systemReason(errno))") }
        let result = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                unsafe Glibc.connect(descriptor, pointer, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else {
            let code = errno
            close(descriptor)
            throw failure(at: path, code)
        }
        return descriptor
    }

    private static func failure(at path: String, _ code: Int32) -> CommandFailure {
        switch code {
        case ENOENT, ECONNREFUSED:
            CommandFailure("posternd does not answer at `\(path)`: is it running?", isAbsence: true)
        case EACCES, EPERM: CommandFailure("you may not speak to posternd at `\(path)`: ask who runs this machine")
        default: CommandFailure("cannot reach posternd at `\(path)`: \(systemReason(code))")
        }
    }
}

/// Cuts a stream of bytes into frames.
struct FrameReader {
    private var bytes: [UInt8] = []

    mutating func append(_ more: some Collection<UInt8>) { bytes += more }

    /// The body of the next frame; nil until all of it is there.
    mutating func next() throws(MessageError) -> [UInt8]? {
        guard bytes.count >= 4 else { return nil }
        let length = try LocalFrame.length(header: Array(bytes.prefix(4)))
        guard bytes.count >= 4 + length else { return nil }
        let body = Array(bytes[4..<4 + length])
        bytes.removeFirst(4 + length)
        return body
    }
}
