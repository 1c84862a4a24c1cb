import CLinux
package import CoordinationAPI
import Glibc
import Synchronization

/// One caller: what it sent, and a way to answer.
package final class LocalConnection: Sendable {
    /// A request, and the descriptors that came with it.
    package struct Received: Sendable {
        package let request: LocalRequest
        package let descriptors: OwnedDescriptors
    }

    let descriptor: Int32
    /// Who connected, or why nobody can tell.
    let peer: Result<PeerProcess, NodeError>
    /// Ends when the caller hangs up.
    package let requests: AsyncStream<Received>
    private let continuation: AsyncStream<Received>.Continuation
    private let buffer = Mutex(Buffer())

    private struct Buffer {
        var hasAsked = false
        var bytes: [UInt8] = []
        var descriptors: [Int32] = []
    }

    /// Takes over a descriptor that was just accepted.
    init(descriptor: Int32, evidence: PeerEvidence) {
        self.descriptor = descriptor
        peer = Result { () throws(NodeError) in try PeerProcess(of: descriptor, evidence: evidence) }
        (requests, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(64))
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        // Room for the largest answer: whoever lets it fill up does not read.
        var room = Int32(2 * LocalFrame.maximumLength)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDBUFFORCE, &room, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Whether a whole request has come.
    var hasAsked: Bool { buffer.withLock { $0.hasAsked } }

    deinit {
        for descriptor in buffer.withLock({ $0.descriptors }) { close(descriptor) }
        close(descriptor)
    }

    /// Sends one answer without waiting; a caller that has let its answers pile up is hung up on.
    package func send(_ response: LocalResponse) {
        guard let frame = try? LocalFrame.encode(response) else {
            if case .failed = response { return hangUp() }
            return send(.failed("the answer is longer than \(LocalFrame.maximumLength) bytes"))
        }
        let count = unsafe frame.withUnsafeBytes {
            unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        if count != frame.count { hangUp() }
    }

    package func refuse(_ sentence: String) {
        send(.failed(sentence))
        hangUp()
    }

    package func hangUp() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    /// Takes what is there; false when the connection has ended.
    func receive() -> Bool {
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

    /// No request comes any more.
    func end() { continuation.finish() }

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
            buffer.hasAsked = true
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
