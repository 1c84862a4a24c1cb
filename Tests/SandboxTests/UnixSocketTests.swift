import CLinux
import Foundation
import Testing

@Suite struct UnixSocketTests {
    @Test func `descriptors travel with their bytes`() {
        let pair = Pair()
        let sent = [marker(), marker()]
        #expect(pair.send([1, 2, 3], sent) == 3)
        let (length, received) = pair.receive(wanted: 4)
        #expect(length == 3)
        #expect(received.count == 2)
        for descriptor in received { #expect(fcntl(descriptor, F_GETFD) == FD_CLOEXEC) }
        for descriptor in sent + received { close(descriptor) }
    }

    @Test func `more descriptors than wanted are an error, and are closed`() {
        let pair = Pair()
        let before = openCount()
        let sent = [marker(), marker()]
        #expect(pair.send([1], sent) == 1)
        for descriptor in sent { close(descriptor) }
        let (length, received) = pair.receive(wanted: 1)
        #expect(length == -Int(EMSGSIZE))
        #expect(received.isEmpty)
        #expect(openCount() == before)
    }

    @Test func `a message that does not fit is an error, and its descriptors are closed`() {
        let pair = Pair()
        let before = openCount()
        let sent = marker()
        #expect(pair.send([UInt8](repeating: 7, count: 100), [sent]) == 100)
        close(sent)
        #expect(pair.receive(wanted: 4).0 == -Int(EMSGSIZE))
        #expect(openCount() == before)
    }

    @Test func `too many or no bytes cannot be sent`() {
        let pair = Pair()
        #expect(pair.send([1], [0, 0, 0, 0, 0]) == -Int(EINVAL))
        #expect(pair.send([], []) == -Int(EINVAL))
    }

    @Test func `the other end is known`() {
        let pair = Pair()
        var peer = pt_peer()
        #expect(unsafe pt_unix_peer(pair.ends[0], &peer) == 0)
        #expect(peer.pid == getpid() && peer.uid == getuid() && peer.gid == getgid())
        let pidfd = pt_unix_peer_pidfd(pair.ends[0])
        #expect(pidfd >= 0 && pt_pidfd_signal(pidfd, 0) == 0)
        close(pidfd)
        #expect(pt_socket_domain(pair.ends[0]) == AF_UNIX)
        #expect(pt_socket_domain(EnclosureRun.network) == -ENOTSOCK)
    }

    private let name = "/tmp/postern-marker-\(UUID().uuidString)"

    /// A descriptor that can be told from all others of this process.
    private func marker() -> Int32 {
        defer { unsafe unlink(name) }
        return unsafe open(name, O_RDWR | O_CREAT, 0o600)
    }

    private func openCount() -> Int {
        let numbers = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
        let targets = numbers.compactMap {
            try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")
        }
        return targets.filter { $0.hasPrefix(name) }.count
    }
}

private final class Pair {
    var ends: [Int32] = [-1, -1]
    init() { precondition(unsafe pt_unix_pair(&ends) == 0) }
    deinit { for end in ends { close(end) } }

    func send(_ bytes: [UInt8], _ descriptors: [Int32]) -> Int {
        Int(unsafe pt_unix_send(ends[0], bytes, bytes.count, descriptors, descriptors.count))
    }

    func receive(wanted: Int) -> (Int, [Int32]) {
        var bytes = [UInt8](repeating: 0, count: 16)
        var descriptors = [Int32](repeating: -1, count: 4)
        var count = 0
        let length = unsafe pt_unix_receive(ends[1], &bytes, bytes.count, &descriptors, wanted, &count)
        return (Int(length), Array(descriptors[..<count]))
    }
}
