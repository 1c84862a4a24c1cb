import Mesh
import Testing
import WireGuard

@testable import PosternNode

@Suite struct UnderlayTests {
    private static func underlay(_ items: [(String, String, Int)], mtu: Int = 1500) throws -> Underlay {
        let pool = try DemoMesh().map.pool
        let names = ["lo", "eth0", "wlan0", "postern0", "eth1"]
        let links = names.enumerated().map { index, name in
            Link(index: Int32(index + 1), name: name, mtu: mtu, isUp: name != "eth1")
        }
        let addresses = try items.map { device, text, length in
            let index = try #require(names.firstIndex(of: device))
            return LinkAddress(index: Int32(index + 1), address: try #require(IPAddress(text)), length: length)
        }
        return Underlay(links: links, addresses: addresses, pool: pool, ownDevices: ["postern0"])
    }

    @Test func `global addresses come first, and IPv6 before IPv4 of the same reach`() throws {
        let underlay = try Self.underlay([
            ("eth0", "192.168.1.2", 24), ("eth0", "203.0.113.5", 24), ("wlan0", "fd12::5", 64),
            ("wlan0", "2001:db8::5", 64), ("eth0", "100.64.3.3", 10), ("eth0", "172.31.0.1", 16),
        ])
        #expect(
            underlay.endpoints(port: try port(51820)).map(\.description) == [
                "[2001:db8::5]:51820", "203.0.113.5:51820", "[fd12::5]:51820", "100.64.3.3:51820", "172.31.0.1:51820",
                "192.168.1.2:51820",
            ])
    }

    @Test(
        arguments: [
            ("lo", "127.0.0.1"), ("lo", "::1"), ("lo", "203.0.113.9"), ("eth0", "169.254.1.1"), ("eth0", "fe80::1"),
            ("eth0", "febf::1"), ("eth0", "0.0.0.0"), ("eth0", "224.0.0.1"), ("eth0", "255.255.255.255"),
            ("eth0", "ff02::1"), ("eth0", "::ffff:1"), ("eth0", "10.0.0.7"), ("eth0", "fd00::7"),
            ("eth0", "fd00:0:0:7::7"), ("postern0", "203.0.113.9"), ("eth1", "203.0.113.9"),
        ])
    func `no address that others cannot use, and none of the mesh, is offered`(device: String, text: String) throws {
        let offered = try Self.underlay([(device, text, 24)])
        #expect(offered.addresses.isEmpty == (text != "fd00::7"))
    }

    @Test func `no more endpoints are named than a statement takes, and none twice`() throws {
        let items = (1...20).flatMap { number in
            [("eth0", "203.0.113.\(number)", 24), ("wlan0", "203.0.113.\(number)", 24)]
        }
        let endpoints = try Self.underlay(items).endpoints(port: try port(51820))
        #expect(endpoints.count == 8)
        #expect(Set(endpoints).count == 8)
    }

    @Test(
        arguments: [
            ([("eth0", "203.0.113.5", 24)], 1500, 1420), ([("eth0", "2001:db8::5", 64)], 1500, 1420),
            ([("eth0", "203.0.113.5", 24), ("wlan0", "2001:db8::5", 64)], 1500, 1420),
            ([("eth0", "203.0.113.5", 24)], 1400, 1328), ([("eth0", "203.0.113.5", 24)], 1300, 1280),
            ([], 1500, 1420), ([("eth0", "2001:db8::5", 64)], 9000, 1420),
        ] as [([(String, String, Int)], Int, Int)])
    func `a tunnel's packets fit into every link when they are filled up, and have room for IPv6`(
        items: [(String, String, Int)], mtu: Int, expected: Int
    ) throws {
        #expect(try Self.underlay(items, mtu: mtu).tunnelMTU == expected)
    }
}
