import Foundation
import Testing

@testable import WireGuard

@Suite struct NetworkNamespaceTests {
    @Test func `a new namespace has a loopback that is down, and nothing else`() throws {
        let links = try Links(in: NetworkNamespace.create())
        #expect(try links.all().filter { $0.isUp }.isEmpty)
        #expect(try links.all().map(\.name).contains("lo"))
        #expect(try links.addresses().isEmpty)
        #expect(try links.routes().isEmpty)

        try links.bringUp(.loopback)

        #expect(try links.all().first { $0.name == "lo" }?.isUp == true)
        #expect(try links.addresses().contains { $0.network == prefix("127.0.0.0/8") })
    }

    @Test func `entering leaves the caller where it was`() throws {
        let namespace = try NetworkNamespace.create()
        let here = try ownNamespace()
        let inside = try namespace.entering { try ownNamespace() }
        #expect(inside != here)
        #expect(try ownNamespace() == here)
        #expect(try NetworkNamespace.current().entering { try ownNamespace() } == here)
        #expect(try NetworkNamespace(path: namespace.path).entering { try ownNamespace() } == inside)
    }

    @Test func `a setting changes in one namespace only`() throws {
        let one = try NetworkNamespace.create()
        let other = try NetworkNamespace.create()
        try one.setSysctl("net/ipv4/ip_default_ttl", to: "33")
        #expect(try one.entering { try timeToLive() } == "33")
        #expect(try other.entering { try timeToLive() } != "33")
    }

    @Test(arguments: ["net/ipv4/no_such_setting", "../sys/net/ipv4/ip_default_ttl", String(repeating: "a", count: 300)])
    func `a setting that is none is an error`(path: String) throws {
        let namespace = try NetworkNamespace.create()
        #expect(throws: LinkError.self) { try namespace.setSysctl(path, to: "1") }
    }

    @Test func `a value that the kernel refuses is an error in words`() throws {
        let namespace = try NetworkNamespace.create()
        let error = #expect(throws: LinkError.self) { try namespace.setSysctl("net/ipv4/ip_default_ttl", to: "900") }
        #expect(
            "\(try #require(error))" == "cannot set `net/ipv4/ip_default_ttl` to `900`: invalid argument (errno 22)")
    }

    @Test func `a path that leads nowhere is an error in words`() {
        let error = #expect(throws: LinkError.self) { try openMissing() }
        #expect(
            error?.description
                == "cannot open the network namespace `/run/netns/pt-missing`: no such file or directory (errno 2)")
    }

    @Test func `a descriptor that is no namespace cannot be entered`() throws {
        let file = NetworkNamespace(owning: dup(0))
        #expect(throws: LinkError.self) { try file.enter {} }
    }

    private func ownNamespace() throws -> String {
        try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/thread-self/ns/net")
    }

    private func timeToLive() throws -> String {
        try String(contentsOfFile: "/proc/sys/net/ipv4/ip_default_ttl", encoding: .utf8)
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    private func openMissing() throws { _ = try NetworkNamespace(path: "/run/netns/pt-missing") }
}
