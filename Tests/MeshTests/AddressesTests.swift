import Foundation
import Mesh
import Testing

@Suite struct AddressesTests {
    @Test(arguments: [
        ("0.0.0.0", 0), ("10.64.0.1", 0x0A40_0001), ("255.255.255.255", UInt32.max), ("127.0.0.1", 0x7F00_0001),
    ])
    func `an IPv4 address is read and written alike`(text: String, value: UInt32) {
        #expect(IPv4Address(text)?.rawValue == value)
        #expect(IPv4Address(rawValue: value).description == text)
    }

    @Test(arguments: [
        "", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.-4", "1.2.3.+4", "01.2.3.4", "1.2.3.4 ", "1..3.4", "0x1.2.3.4",
        "1.2.3.0004", "١.2.3.4",
    ])
    func `what another tool might read otherwise is no IPv4 address`(text: String) {
        #expect(IPv4Address(text) == nil)
    }

    @Test func `bytes are in network order`() {
        #expect(IPv4Address(rawValue: 0x0A01_0203).bytes == [10, 1, 2, 3])
        #expect(
            IPv6Address(high: 0xFD01_0203_0405_0607, low: 0x0809_0A0B_0C0D_0E0F).bytes
                == [0xFD] + (1...15).map { UInt8($0) })
    }

    /// The examples of RFC 5952 §4 and §5.
    @Test(
        arguments: [
            (0x2001_0db8_0000_0000, 0x0000_0000_0002_0001, "2001:db8::2:1"),
            (0x2001_0db8_0000_0001, 0x0001_0001_0001_0001, "2001:db8:0:1:1:1:1:1"),
            (0x2001_0000_0000_0001, 0x0000_0000_0000_0001, "2001:0:0:1::1"),
            (0x2001_0db8_0000_0000, 0x0001_0000_0000_0001, "2001:db8::1:0:0:1"),
            (0, 0, "::"), (0, 1, "::1"), (0x0001_0000_0000_0000, 0, "1::"),
            (0xfd12_3456_789a_0000, 0x0000_0000_0003_ffff, "fd12:3456:789a::3:ffff"),
            (UInt64.max, UInt64.max, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ] as [(UInt64, UInt64, String)])
    func `IPv6 text is the canonical one`(high: UInt64, low: UInt64, text: String) {
        #expect(IPv6Address(high: high, low: low).description == text)
    }

    @Test(arguments: ["0", "65536", "-1", "", " 80", "80 ", "8e1", "+80"])
    func `what is no port is refused`(text: String) {
        #expect(Port(text) == nil)
    }

    @Test(arguments: [
        ("192.0.2.1:51820", "192.0.2.1:51820"), ("[2001:db8::1]:51820", "[2001:db8::1]:51820"),
        ("[2001:DB8:0:0:0:0:0:1]:1", "[2001:db8::1]:1"), ("[::]:65535", "[::]:65535"),
    ])
    func `an endpoint is an address of either kind and a port`(text: String, expected: String) throws {
        let endpoint = try #require(Endpoint(text))
        #expect(endpoint.description == expected)
        #expect(try JSONDecoder().decode([Endpoint].self, from: JSONEncoder().encode([endpoint])) == [endpoint])
    }

    @Test(arguments: [
        "192.0.2.1", "192.0.2.1:", "192.0.2.1:0", ":51820", "a:1", "1.2.3.4:1:2", "::1:1", "2001:db8::1:51820",
        "[1.2.3.4]:1", "[::1]", "[::1]:", "[::1]1", "[]:1", "[:1", "[::1%eth0]:1", "[[::1]]:1", "[fe80::1]:0",
        "[::1]:99999", "[-1::1]:1", "[::1]:+1", "", "[::ffff:1.2.3.4]:1",
        "[" + String(repeating: "0:", count: 5000) + "]:1",
    ])
    func `what is no endpoint is refused`(text: String) {
        #expect(Endpoint(text) == nil)
    }

    @Test(arguments: seeds)
    func `IPv6 text and bytes are read as they are written`(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<200 {
            // Words full of zeros, so that runs of them are shortened in every place.
            let mask = UInt64.random(in: 0...255, using: &generator) &* 0x0101_0101_0101_0101
            let address = IPv6Address(
                high: .random(in: 0 ... .max, using: &generator) & mask,
                low: .random(in: 0 ... .max, using: &generator) & ~mask)
            #expect(IPv6Address(address.description) == address)
            #expect(IPAddress(bytes: address.bytes) == .v6(address))
        }
    }
}

@Suite struct AddressPoolTests {
    @Test(arguments: ["11.0.0.0", "10.1.0.0", "10.0.0.1", "9.252.0.0", "100.64.0.0"])
    func `a pool is a block of ten`(text: String) throws {
        let base = try #require(IPv4Address(text))
        #expect(AddressPool(v4Base: base, v6Prefix: 0xfd00_0000_0000_0000) == nil)
    }

    @Test(arguments: [0, 0xfc00_0000_0000_0000, 0xfe80_0000_0000_0000, 0x2001_0db8_0000_0000] as [UInt64])
    func `a pool's IPv6 prefix is a local one`(prefix: UInt64) {
        #expect(AddressPool(v4Base: IPv4Address(rawValue: 10 << 24), v6Prefix: prefix) == nil)
    }

    @Test(arguments: [0, MeshOffset.count - 1, MeshOffset.count, .max])
    func `network, broadcast and beyond are no offsets`(value: UInt32) {
        #expect(MeshOffset(rawValue: value) == nil)
    }

    @Test(arguments: seeds)
    func `an offset and its address are each other's`(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let pool = AddressPool.random(using: &generator)
        let offset = try #require(MeshOffset(rawValue: .random(in: 1..<MeshOffset.count - 1, using: &generator)))
        #expect(pool.contains(pool.ipv4(at: offset)))
        #expect(pool.offset(of: pool.ipv4(at: offset)) == offset)
        #expect(pool.ipv6(at: offset).bytes[0] == 0xfd)
        #expect(pool.ipv6(at: offset).low == UInt64(offset.rawValue))
    }

    @Test(arguments: seeds)
    func `what lies outside has no offset`(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let pool = AddressPool.random(using: &generator)
        let base = pool.v4Base.rawValue
        for outside in [base, base &- 1, base &+ MeshOffset.count, base &+ MeshOffset.count - 1, 0, .max] {
            #expect(pool.offset(of: IPv4Address(rawValue: outside)) == nil)
        }
    }

    @Test func `a pool shows its prefixes`() throws {
        let pool = try #require(
            AddressPool(v4Base: IPv4Address(rawValue: 0x0A40_0000), v6Prefix: 0xfd00_1122_3344_5566))
        #expect(pool.v4Text == "10.64.0.0/14")
        #expect(pool.v6Text == "fd00:1122:3344:5566::/64")
    }
}
