import Foundation
import Mesh
import Testing

@testable import WireGuard

@Suite struct LinksTests {
    private let near = uniqueDevice()
    private let far = uniqueDevice()

    @Test func `a link has an index, and none when it is not there`() throws {
        let cable = try Cable(near, far)
        let links = try Links(in: cable.here)
        #expect(try links.index(of: near) == links.all().first { $0.name == near.rawValue }?.index)
        #expect(try links.index(of: near) != nil)
        #expect(try links.index(of: far) == nil)
        #expect(try Links(in: cable.there).index(of: far) != nil)
    }

    @Test func `the MTU is set`() throws {
        let cable = try Cable(near, far)
        let links = try Links(in: cable.here)
        try links.setMTU(1380, of: near)
        #expect(try links.all().first { $0.name == near.rawValue }?.mtu == 1380)
    }

    @Test func `a link goes up and down`() throws {
        let cable = try Cable(near, far)
        let links = try Links(in: cable.here)
        try links.bringUp(near)
        #expect(try links.all().first { $0.name == near.rawValue }?.isUp == true)
        try links.bringDown(near)
        #expect(try links.all().first { $0.name == near.rawValue }?.isUp == false)
    }

    @Test func `addresses are added with their networks`() throws {
        let cable = try Cable(near, far)
        let links = try Links(in: cable.here)
        let index = try #require(try links.index(of: near))
        let (v4, v6) = (try #require(IPv4Address("10.9.0.1")), IPv6Address(high: 0xfd00 << 48, low: 1))
        try links.add(v4, to: near)
        try links.add(v6, length: 64, to: near)
        #expect(
            try links.addresses().filter { $0.index == index } == [
                LinkAddress(index: index, address: .v4(v4), length: 32),
                LinkAddress(index: index, address: .v6(v6), length: 64),
            ])
    }

    @Test func `an IPv6 address is not tried out first`() throws {
        let cable = try Cable(near, far)
        let links = try Links(in: cable.here)
        try links.bringUp(near)
        try links.add(IPv6Address(high: 0xfd00 << 48, low: 1), to: near)
        let listing = try cable.here.entering { try run("ip", "-6", "addr", "show", "dev", near.rawValue, "tentative") }
        #expect(!listing.contains("fd00::1"))
    }

    @Test(arguments: ["10.4.0.0/14", "fd00::/64", "0.0.0.0/0"])
    func `a route leads through the device until it is removed`(text: String) throws {
        let network = prefix(text)
        let cable = try Cable(near, far)
        let links = try Links(in: cable.here)
        let index = try #require(try links.index(of: near))
        try links.bringUp(near)
        try links.addRoute(to: network, through: near)
        #expect(try links.routes().contains(Route(destination: network, index: index, isLocal: false)))
        try links.removeRoute(to: network, through: near)
        #expect(try !links.routes().contains { $0.destination == network && !$0.isLocal })
    }

    @Test func `a link that moves is gone here, and down and bare there`() throws {
        let cable = try Cable(near, far)
        let links = try Links(in: cable.here)
        let target = try Links(in: cable.there)
        try links.add(try #require(IPv4Address("10.9.0.1")), to: near)
        try links.bringUp(near)

        try links.move(near, to: cable.there)

        #expect(try links.index(of: near) == nil)
        let moved = try #require(try target.all().first { $0.name == near.rawValue })
        #expect(!moved.isUp)
        #expect(try target.addresses().filter { $0.index == moved.index }.isEmpty)
    }

    @Test func `a link that is deleted takes its other end along`() throws {
        let cable = try Cable(near, far)
        try Links(in: cable.here).delete(near)
        #expect(try Links(in: cable.there).index(of: far) == nil)
    }

    @Test func `errors say what failed, for which device and why`() throws {
        let cable = try Cable(near, far)
        let links = try Links(in: cable.here)
        let address = try #require(IPv4Address("10.9.0.1"))
        try links.add(address, to: near)
        expect("cannot add the address `10.9.0.1/32` to `\(near)`: file exists (errno 17)") {
            try links.add(address, to: near)
        }
        expect("cannot start `\(far)`: no such device (errno 19)") { try links.bringUp(far) }
        expect("cannot delete `\(far)`: no such device (errno 19)") { try links.delete(far) }
        expect("cannot add the route to `10.4.0.0/14` through `\(near)`: network is down (errno 100)") {
            try links.addRoute(to: prefix("10.4.0.0/14"), through: near)
        }
    }

    private func expect(_ sentence: String, _ body: () throws -> Void) {
        let error = #expect(throws: LinkError.self, performing: body)
        #expect(error?.description == sentence)
    }
}
