import CLinux
import CoordinationAPI
import Foundation
import Glibc

/// Stands in for `posternd` at a Unix socket of its own: takes a caller's request, and does what the test says.
final class FakeNode: Sendable {
    /// What the test sees of the caller.
    struct Caller: ~Copyable {
        let connection: Int32
        let request: LocalRequest?
        let descriptors: [Int32]

        /// Sends raw bytes, be they a message or not.
        borrowing func send(_ bytes: [UInt8]) {
            _ = unsafe bytes.withUnsafeBytes {
                unsafe Glibc.send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
        }

        borrowing func send(_ response: LocalResponse) {
            if let frame = try? LocalFrame.encode(response) { send(frame) }
        }

        /// The next request of the same caller.
        borrowing func next() -> LocalRequest? { FakeNode.receive(connection).request }
    }

    let path: String
    private let listener: Int32

    /// Serves so many callers, one after another.
    init(callers: Int = 1, _ serve: @escaping @Sendable (borrowing Caller) -> Void) throws {
        let path = NSTemporaryDirectory() + "postern-\(UUID().uuidString.prefix(8)).sock"
        let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: Array(path.utf8)) }
        let bound = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                unsafe bind(listener, pointer, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard listener >= 0, bound == 0, listen(listener, 16) == 0 else { throw CocoaError(.fileWriteUnknown) }
        (self.path, self.listener) = (path, listener)
        Thread.detachNewThread {
            for _ in 0..<callers {
                let connection = accept(listener, nil, nil)
                guard connection >= 0 else { return }
                let (request, descriptors) = Self.receive(connection)
                serve(Caller(connection: connection, request: request, descriptors: descriptors))
                for descriptor in descriptors + [connection] { close(descriptor) }
            }
        }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
        unsafe unlink(path)
    }

    private static func receive(_ connection: Int32) -> (request: LocalRequest?, descriptors: [Int32]) {
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        var descriptors = [Int32](repeating: -1, count: Int(PT_MAX_DESCRIPTORS))
        var (filled, received) = (0, 0)
        while true {
            var count = 0
            let got = unsafe bytes.withUnsafeMutableBytes { buffer in
                unsafe pt_unix_receive(
                    connection, buffer.baseAddress?.advanced(by: filled), buffer.count - filled, &descriptors,
                    descriptors.count, &count)
            }
            guard got > 0 else { return (nil, []) }
            (filled, received) = (filled + got, max(received, count))
            guard let length = try? LocalFrame.length(header: Array(bytes.prefix(4))), filled >= 4 + length else {
                continue
            }
            let request = try? JSON.decode(LocalRequest.self, from: Array(bytes[4..<4 + length]))
            return (request, Array(descriptors.prefix(received)))
        }
    }
}

/// Whether two descriptors are of one file.
func isSameFile(_ one: Int32, _ other: Int32) -> Bool {
    var (first, second) = (stat(), stat())
    guard unsafe fstat(one, &first) == 0, unsafe fstat(other, &second) == 0 else { return false }
    return first.st_dev == second.st_dev && first.st_ino == second.st_ino
}

/// As a terminal does when somebody types Control-C.
func sendToSelf(_ signal: Int32) { kill(getpid(), signal) }
