import Foundation
import Glibc
import Testing

@testable import WireGuard

@Suite struct UnixSocketTests {
    @Test func `a message ends with a blank line`() throws {
        let server = try Listener()
        let client = try UnixSocket(path: server.path, timeout: .seconds(2))
        try client.send("get=1\n\n")
        let peer = try server.accept(answering: Array("errno=0\n\n".utf8))
        defer { close(peer) }
        #expect(try client.receiveMessage(limit: 100) == Array("errno=0\n\n".utf8))
    }

    @Test func `an answer that is cut short is handed over as it is`() throws {
        let server = try Listener()
        let client = try UnixSocket(path: server.path, timeout: .seconds(2))
        close(try server.accept(answering: Array("errno=0".utf8)))
        #expect(try client.receiveMessage(limit: 100) == Array("errno=0".utf8))
    }

    @Test func `an answer without end is given up`() throws {
        let server = try Listener()
        let client = try UnixSocket(path: server.path, timeout: .seconds(2))
        let peer = try server.accept(answering: Array(repeating: UInt8(ascii: "a"), count: 100_000))
        defer { close(peer) }
        #expect(throws: UnixSocket.Failure.tooLong) { try client.receiveMessage(limit: 1000) }
    }

    @Test func `silence is given up`() throws {
        let server = try Listener()
        let client = try UnixSocket(path: server.path, timeout: .milliseconds(50))
        #expect(throws: UnixSocket.Failure.timedOut) { try client.receiveMessage(limit: 100) }
    }

    @Test func `a request that nobody reads is given up`() throws {
        let server = try Listener()
        let client = try UnixSocket(path: server.path, timeout: .milliseconds(50))
        #expect(throws: UnixSocket.Failure.timedOut) { try client.send(String(repeating: "a", count: 4 << 20)) }
    }

    @Test func `a queue that nobody serves is given up`() throws {
        let server = try Listener()
        let first = try UnixSocket(path: server.path, timeout: .milliseconds(50))
        #expect(throws: UnixSocket.Failure.timedOut) {
            _ = try UnixSocket(path: server.path, timeout: .milliseconds(50))
        }
        try first.send("")
    }

    @Test func `the listener is known by its process`() throws {
        let server = try Listener()
        #expect(try UnixSocket(path: server.path, timeout: .seconds(1)).peerProcess() == getpid())
    }

    @Test func `a connection that is let go is closed`() throws {
        let server = try Listener()
        for _ in 0..<10 {
            try letGo(server)
            let peer = try server.accept(answering: [])
            defer { close(peer) }
            var byte: UInt8 = 0
            #expect(unsafe recv(peer, &byte, 1, Int32(MSG_DONTWAIT)) == 0)
        }
    }

    private func letGo(_ server: Listener) throws {
        _ = try UnixSocket(path: server.path, timeout: .seconds(1)).peerProcess()
    }

    @Test func `a path that is too long is refused`() {
        #expect(throws: UnixSocket.Failure.system(ENAMETOOLONG)) {
            _ = try UnixSocket(path: "/tmp/" + String(repeating: "a", count: 200), timeout: .seconds(1))
        }
    }
}

/// A listening Unix socket with a queue of one.
final class Listener {
    let path: String
    private let descriptor = socket(AF_UNIX, 1, 0)

    init(
        path: String = FileManager.default.temporaryDirectory.appending(path: "\(UUID().uuidString).sock").path
    ) throws {
        self.path = path
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: Array(path.utf8)) }
        let result = unsafe withUnsafePointer(to: address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                unsafe bind(descriptor, generic, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0, listen(descriptor, 0) == 0 else { throw SocketError(errno: errno) }
    }

    deinit {
        close(descriptor)
        unsafe unlink(path)
    }

    func accept(answering bytes: [UInt8]) throws -> Int32 {
        let peer = Glibc.accept(descriptor, nil, nil)
        guard peer >= 0, unsafe send(peer, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count || bytes.isEmpty
        else {
            throw SocketError(errno: errno)
        }
        return peer
    }
}
