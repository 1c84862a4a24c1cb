import CLinux
import CoordinationAPI
import Foundation
import Glibc
import PosternNode
import Synchronization

/// A caller of the local socket, as rude as a test wants. It waits a minute for an answer, never longer.
struct Guest: ~Copyable {
    let descriptor: Int32

    init(at path: String) throws {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: Array(path.utf8)) }
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        let result = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                unsafe connect(descriptor, pointer, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else { throw TestError("cannot connect: \(errno)") }
    }

    /// Takes over a connection that another process made.
    init(owning descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    borrowing func send(_ bytes: [UInt8], descriptors: [Int32] = []) throws {
        var (rest, attached) = (bytes[...], descriptors)
        while !rest.isEmpty {
            let sent = unsafe rest.withUnsafeBytes {
                unsafe pt_unix_send(descriptor, $0.baseAddress, $0.count, attached, attached.count)
            }
            guard sent > 0 else { throw TestError("cannot send: \(-sent)") }
            (rest, attached) = (rest.dropFirst(sent), [])
        }
    }

    borrowing func ask(_ request: LocalRequest, descriptors: [Int32] = []) throws -> LocalResponse? {
        try send(LocalFrame.encode(request), descriptors: descriptors)
        return try receive()
    }

    /// The next answer; nil when the server hung up.
    borrowing func receive() throws -> LocalResponse? {
        guard let header = try read(4) else { return nil }
        guard let body = try read(LocalFrame.length(header: header)) else { return nil }
        return try JSON.decode(LocalResponse.self, from: body)
    }

    borrowing func stopSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Waits, without reading, until the server has hung up.
    borrowing func waitForHangUp() throws {
        var entry = pollfd(fd: descriptor, events: 0, revents: 0)
        guard unsafe poll(&entry, 1, 60_000) == 1 else { throw TestError("nobody hung up for a minute") }
    }

    private borrowing func read(_ count: Int) throws -> [UInt8]? {
        var bytes: [UInt8] = []
        while bytes.count < count {
            guard let more = try PosternNodeTests.read(descriptor, upTo: count - bytes.count), !more.isEmpty else {
                return nil
            }
            bytes += more
        }
        return bytes
    }
}

/// A guest that several may speak for.
final class Held: Sendable {
    let guest: Guest
    init(_ guest: consuming Guest) { self.guest = guest }
}

/// A pipe: what is written into it, and that nobody can write any more, tells who holds its end.
final class Tube: Sendable {
    let writer: Int32
    private let reader: Int32
    private let isOpen = Mutex(true)

    init() throws {
        var ends: [Int32] = [-1, -1]
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        guard unsafe socketpair(AF_UNIX, type, 0, &ends) == 0 else { throw TestError("cannot make a pipe: \(errno)") }
        (reader, writer) = (ends[0], ends[1])
    }

    deinit {
        closeWriter()
        close(reader)
    }

    func closeWriter() {
        let wasOpen = isOpen.withLock { open in
            defer { open = false }
            return open
        }
        if wasOpen { close(writer) }
    }

    /// Everything that was written, once nobody holds the other end.
    func text() throws -> String {
        var bytes: [UInt8] = []
        while let more = try read(reader, upTo: 4096), !more.isEmpty { bytes += more }
        return String(decoding: bytes, as: UTF8.self)
    }
}

struct TestError: Error {
    let sentence: String
    init(_ sentence: String) { self.sentence = sentence }
}

/// What a descriptor gives next: empty at the end, nil when the other side broke off.
func read(_ descriptor: Int32, upTo count: Int) throws -> [UInt8]? {
    var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    guard unsafe poll(&entry, 1, 60_000) == 1 else { throw TestError("nothing came for a minute") }
    var chunk = [UInt8](repeating: 0, count: count)
    let received = unsafe Glibc.read(descriptor, &chunk, count)
    return received < 0 ? nil : Array(chunk.prefix(received))
}

/// Runs what blocks on a thread of its own, so that it holds none of the concurrency pool's.
func blocking(_ body: @escaping @Sendable () throws -> Void) async throws {
    try await withCheckedThrowingContinuation { continuation in
        Thread { continuation.resume(with: Result { try body() }) }.start()
    }
}
