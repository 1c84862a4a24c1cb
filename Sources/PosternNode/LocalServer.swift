import CLinux
package import CoordinationAPI
import Foundation
import Glibc
import Synchronization

/// Listens on the Unix socket and turns what comes in into requests.
///
/// One thread reads all connections; a connection that sends nonsense, or too much, is closed with a sentence.
package struct LocalServer: Sendable {
    package let path: String
    private let listener: Int32

    static let maximumConnections = 256

    /// Binds the socket, in place of one that a daemon before this left behind.
    package init(path: String) throws(NodeError) {
        self.path = path
        listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard listener >= 0 else { throw NodeError("cannot make a socket: \(errorText())") }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let capacity = MemoryLayout.size(ofValue: address.sun_path)
        guard path.utf8.count < capacity else { throw NodeError("the socket's path `\(path)` is too long") }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: Array(path.utf8)) }
        unsafe unlink(path)
        let bound = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                unsafe bind(listener, pointer, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        // Anybody may ask: who asks is what the kernel says, and what he may do is decided for each request.
        guard bound == 0, unsafe chmod(path, 0o666) == 0, listen(listener, 64) == 0 else {
            let reason = errorText()
            close(listener)
            throw NodeError("cannot listen on `\(path)`: \(reason)")
        }
    }

    /// Serves until the task is cancelled; each connection runs as a child task.
    package func run(_ handle: @escaping @Sendable (LocalConnection) async -> Void) async throws(NodeError) {
        let stop = try StopSignal()
        let (connections, continuation) = AsyncStream.makeStream(
            of: LocalConnection.self, bufferingPolicy: .bufferingOldest(Self.maximumConnections))
        let (listener, path) = (listener, path)
        await withDiscardingTaskGroup { group in
            group.addTask {
                await onThread("postern-local", stop: stop) {
                    Self.loop(listener: listener, stop: stop) { continuation.yield($0) }
                    continuation.finish()
                    close(listener)
                    unsafe unlink(path)
                }
            }
            for await connection in connections {
                group.addTask {
                    await handle(connection)
                    connection.hangUp()
                }
            }
            group.cancelAll()
        }
    }

    private static func loop(listener: Int32, stop: StopSignal, accepted: (LocalConnection) -> Void) {
        var open: [LocalConnection] = []
        while true {
            let ready = readable([stop.descriptor, listener] + open.map(\.descriptor))
            if ready.contains(0) { break }
            let ended = ready.filter { $0 >= 2 }.map { open[$0 - 2] }.filter { !$0.receive() }
            open.removeAll { connection in ended.contains { $0 === connection } }
            if ready.contains(1), let connection = accept(from: listener) {
                guard open.count < maximumConnections else {
                    connection.refuse("posternd serves \(maximumConnections) callers at once, and has no place left")
                    continue
                }
                open.append(connection)
                accepted(connection)
            }
        }
        for connection in open { connection.end() }
    }

    private static func accept(from listener: Int32) -> LocalConnection? {
        let descriptor = Glibc.accept(listener, nil, nil)
        guard descriptor >= 0 else { return nil }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        return LocalConnection(descriptor: descriptor)
    }
}

/// One caller: what it sent, and a way to answer.
package final class LocalConnection: Sendable {
    /// A request, and the descriptors that came with it.
    package struct Received: Sendable {
        package let request: LocalRequest
        package let descriptors: OwnedDescriptors
    }

    let descriptor: Int32
    /// Ends when the caller hangs up.
    package let requests: AsyncStream<Received>
    private let continuation: AsyncStream<Received>.Continuation
    private let buffer = Mutex(Buffer())

    private struct Buffer {
        var bytes: [UInt8] = []
        var descriptors: [Int32] = []
    }

    init(descriptor: Int32) {
        self.descriptor = descriptor
        (requests, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(64))
    }

    deinit {
        for descriptor in buffer.withLock({ $0.descriptors }) { close(descriptor) }
        close(descriptor)
    }

    /// Sends one answer; a caller that does not read within two seconds is hung up on.
    package func send(_ response: LocalResponse) {
        guard let frame = try? LocalFrame.encode(response) else { return hangUp() }
        var rest = frame[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes {
                unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if count < 0, errno == EAGAIN || errno == EINTR, isWritable() {
                continue
            } else {
                return hangUp()
            }
        }
    }

    package func refuse(_ sentence: String) {
        send(.failed(sentence))
        hangUp()
    }

    package func hangUp() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    private func isWritable() -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        return unsafe poll(&entry, 1, 2000) == 1
    }

    /// Takes what is there; false when the connection has ended.
    fileprivate func receive() -> Bool {
        do {
            guard try takeBytes() else {
                end()
                return false
            }
            while let received = try nextFrame() {
                guard case .enqueued = continuation.yield(received) else {
                    throw NodeError("too many requests at once")
                }
            }
            return true
        } catch {
            refuse("\(error)")
            end()
            return false
        }
    }

    fileprivate func end() { continuation.finish() }

    private func takeBytes() throws(NodeError) -> Bool {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        var descriptors = [Int32](repeating: -1, count: PT_MAX_DESCRIPTORS)
        var count = 0
        let size = chunk.count
        let received = unsafe pt_unix_receive(
            self.descriptor, &chunk, size, &descriptors, LocalFrame.descriptorCount, &count)
        if received == -Int(EAGAIN) || received == -Int(EINTR) { return true }
        guard received >= 0 else { throw NodeError("the message cannot be received: \(errorText(Int32(-received)))") }
        let fresh = Array(descriptors.prefix(count))
        let overfull = buffer.withLock { buffer in
            buffer.bytes += chunk[..<received]
            buffer.descriptors += fresh
            return buffer.descriptors.count > LocalFrame.descriptorCount
        }
        if overfull { throw NodeError("more descriptors came than a request takes") }
        return received > 0
    }

    private func nextFrame() throws -> Received? {
        try buffer.withLock { buffer in
            guard buffer.bytes.count >= 4 else { return nil }
            let length = try LocalFrame.length(header: Array(buffer.bytes.prefix(4)))
            guard buffer.bytes.count >= 4 + length else { return nil }
            let body = Array(buffer.bytes[4..<4 + length])
            buffer.bytes.removeFirst(4 + length)
            let request: LocalRequest
            do { request = try JSON.decode(LocalRequest.self, from: body) } catch {
                throw NodeError("the request cannot be read: \(error)")
            }
            let descriptors = OwnedDescriptors(buffer.descriptors)
            buffer.descriptors = []
            return Received(request: request, descriptors: descriptors)
        }
    }
}

/// Descriptors that came over a socket; closed when nobody needs them any more.
package final class OwnedDescriptors: Sendable {
    package let all: [Int32]
    init(_ descriptors: [Int32]) { all = descriptors }
    deinit { for descriptor in all { close(descriptor) } }
}
