import Mesh

@testable import Datapath

/// A frame as a test makes it: an Ethernet header, IP, and what is above.
struct Frame {
    var bytes: [UInt8]

    static let ethernet = 14
    static let syn: UInt8 = 0x02
    static let ack: UInt8 = 0x10
    static let rst: UInt8 = 0x04
    static let fin: UInt8 = 0x01

    enum Family: CaseIterable {
        case v4, v6
        var icmp: UInt8 { self == .v4 ? 1 : 58 }
    }

    /// The packet without its Ethernet header, as a TUN device carries it.
    var packet: [UInt8] { Array(bytes.dropFirst(Self.ethernet)) }

    static func tcp(
        _ family: Family, from source: MeshOffset, _ sourcePort: UInt16, to destination: MeshOffset,
        _ destinationPort: UInt16, flags: UInt8
    ) -> Frame {
        let segment =
            be(sourcePort) + be(destinationPort) + [0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]
        return ip(family, from: source, to: destination, transport: 6, payload: segment)
    }

    static func udp(
        _ family: Family, from source: MeshOffset, _ sourcePort: UInt16, to destination: MeshOffset,
        _ destinationPort: UInt16, payload: [UInt8] = []
    ) -> Frame {
        let length = be(UInt16(8 + payload.count))
        return ip(
            family, from: source, to: destination, transport: 17,
            payload: be(sourcePort) + be(destinationPort) + length + [0, 0] + payload)
    }

    /// - Parameter type: the type's number in ICMP for IPv4 and in ICMPv6.
    static func icmp(
        _ family: Family, from source: MeshOffset, to destination: MeshOffset, _ type: (v4: UInt8, v6: UInt8),
        echo: UInt16 = 0, quoting quote: [UInt8] = []
    ) -> Frame {
        let header = [family == .v4 ? type.v4 : type.v6, 0, 0, 0] + be(echo) + [0, 1]
        return ip(family, from: source, to: destination, transport: family.icmp, payload: header + quote)
    }

    static let echoRequest: (v4: UInt8, v6: UInt8) = (8, 128)
    static let echoReply: (v4: UInt8, v6: UInt8) = (0, 129)
    static let unreachable: (v4: UInt8, v6: UInt8) = (3, 1)

    /// IPv6 with these extension headers, of 8 bytes each, before what the frame carried.
    func extended(by headers: [UInt8]) -> Frame {
        guard bytes[12] == 0x86, let first = headers.first else { return self }
        var chain: [UInt8] = []
        for next in headers.dropFirst() + [bytes[Self.ethernet + 6]] { chain += [next, 0, 1, 4, 0, 0, 0, 0] }
        var copy = with(6, first)
        copy.bytes.insert(contentsOf: chain, at: Self.ethernet + 40)
        let length = be(UInt16(copy.bytes.count - Self.ethernet - 40))
        return copy.with(4, length[0]).with(5, length[1])
    }

    static func ip(
        _ family: Family, from source: MeshOffset, to destination: MeshOffset, transport: UInt8, payload: [UInt8]
    ) -> Frame {
        switch family {
        case .v4: v4(pool.ipv4(at: source), pool.ipv4(at: destination), transport, payload)
        case .v6: v6(pool.ipv6(at: source), pool.ipv6(at: destination), transport, payload)
        }
    }

    static func v4(
        _ source: IPv4Address, _ destination: IPv4Address, _ transport: UInt8, _ payload: [UInt8]
    ) -> Frame {
        var header: [UInt8] = [0x45, 0] + be(UInt16(20 + payload.count)) + [0, 0, 0, 0, 64, transport, 0, 0]
        header += source.bytes + destination.bytes
        let sum = checksum(header)
        header[10] = UInt8(sum >> 8)
        header[11] = UInt8(sum & 0xff)
        return Frame(bytes: [UInt8](repeating: 2, count: 12) + [0x08, 0x00] + header + payload)
    }

    static func v6(
        _ source: IPv6Address, _ destination: IPv6Address, _ next: UInt8, _ payload: [UInt8]
    ) -> Frame {
        let header: [UInt8] = [0x60, 0, 0, 0] + be(UInt16(payload.count)) + [next, 64]
        return Frame(
            bytes: [UInt8](repeating: 2, count: 12) + [0x86, 0xdd] + header + source.bytes + destination.bytes + payload
        )
    }

    /// With one byte, counted from the IP header, set.
    func with(_ offset: Int, _ value: UInt8) -> Frame {
        var copy = self
        copy.bytes[Self.ethernet + offset] = value
        return copy
    }

    /// With the TCP checksum that a kernel demands (IPv4).
    func checksummed() -> Frame {
        var copy = self
        let segment = Array(bytes[(Self.ethernet + 20)...])
        let pseudo = Array(bytes[(Self.ethernet + 12)..<(Self.ethernet + 20)]) + [0, 6] + be(UInt16(segment.count))
        let sum = checksum(pseudo + segment)
        copy.bytes[Self.ethernet + 36] = UInt8(sum >> 8)
        copy.bytes[Self.ethernet + 37] = UInt8(sum & 0xff)
        return copy
    }
}

func be(_ number: UInt16) -> [UInt8] { [UInt8(number >> 8), UInt8(number & 0xff)] }

/// RFC 1071.
func checksum(_ bytes: [UInt8]) -> UInt16 {
    var sum: UInt32 = 0
    for index in stride(from: 0, to: bytes.count, by: 2) {
        sum += UInt32(bytes[index]) << 8 | (index + 1 < bytes.count ? UInt32(bytes[index + 1]) : 0)
    }
    while sum >> 16 != 0 { sum = sum & 0xffff + sum >> 16 }
    return ~UInt16(sum)
}
