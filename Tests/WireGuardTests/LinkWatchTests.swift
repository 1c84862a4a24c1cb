import Glibc
import Testing
import WireGuard

@Suite struct LinkWatchTests {
    /// Holds what a closure of another thread made.
    private final class Holder: Sendable {
        let watch: LinkWatch
        init() throws { watch = try LinkWatch() }
    }

    @Test func `a change of an interface is heard of, and then it is quiet again`() throws {
        let namespace = try NetworkNamespace.create()
        let holder = try #require(try namespace.enter { try? Holder() })
        #expect(!isReadable(holder.watch.descriptor, within: 0))
        try Links(in: namespace).bringUp(.loopback)
        #expect(isReadable(holder.watch.descriptor, within: 5000))
        holder.watch.drain()
        #expect(!isReadable(holder.watch.descriptor, within: 0))
    }

    private func isReadable(_ descriptor: Int32, within milliseconds: Int32) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return unsafe poll(&entry, 1, milliseconds) == 1
    }
}
