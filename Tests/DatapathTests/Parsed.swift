import Mesh

@testable import Datapath

/// A packet as the model reads it: byte by byte, from a copy.
struct Parsed {
    enum Kind { case echoRequest, echoReply, error, other }

    private(set) var source = IPAddress.v4(IPv4Address(rawValue: 0))
    private(set) var destination = IPAddress.v4(IPv4Address(rawValue: 0))
    private(set) var transport: UInt8 = 0
    private(set) var sourcePort: UInt16 = 0
    private(set) var destinationPort: UInt16 = 0
    private(set) var flags: UInt8 = 0
    private(set) var type: UInt8 = 0
    private(set) var echo: UInt16 = 0

    private var isV6 = false
    private var ip: [UInt8]
    /// Where the transport header is, and where the packet says that it ends.
    private var (start, end) = (0, 0)

    typealias Stop = Model.Stop

    /// A frame with an Ethernet header.
    init(_ frame: [UInt8]) throws(Stop) {
        ip = Array(frame.dropFirst(Frame.ethernet))
        switch (frame[12], frame[13]) {
        case (0x08, 0x00): try readV4()
        case (0x86, 0xdd): try readV6()
        default: throw Stop(.notIP)
        }
        if end > ip.count { throw Stop(.truncated) }
        try walkExtensions()
        try readTransport()
    }

    /// The packet behind the eight bytes of an ICMP error.
    init(quotedIn packet: Parsed) throws(Stop) {
        (isV6, ip) = (packet.isV6, Array(packet.ip.dropFirst(packet.start + 8)))
        let rest = packet.end - packet.start - 8
        try isV6 ? readV6() : readV4()
        end = rest
        try walkExtensions()
        if start + 8 > end || ip.count < start + 8 { throw Stop(.truncated) }
        if transport == icmp {
            (type, echo) = (ip[start], UInt16(number(start + 4..<start + 6)))
        } else {
            (sourcePort, destinationPort) = (UInt16(number(start..<start + 2)), UInt16(number(start + 2..<start + 4)))
        }
    }

    /// Each family's own ICMP.
    var icmp: UInt8 { isV6 ? 58 : 1 }

    var kind: Kind {
        switch (isV6, type) {
        case (false, 8), (true, 128): .echoRequest
        case (false, 0), (true, 129): .echoReply
        case (false, 3), (false, 11), (false, 12), (true, 1), (true, 2), (true, 3), (true, 4): .error
        default: .other
        }
    }

    private mutating func readV4() throws(Stop) {
        if ip.count < 20 { throw Stop(.truncated) }
        if ip[0] >> 4 != 4 { throw Stop(.notIP) }
        if ip[0] & 15 < 5 || number(2..<4) < 20 { throw Stop(.truncated) }
        if ip[0] & 15 > 5 { throw Stop(.ipOptions) }
        if number(6..<8) & 0x3fff != 0 { throw Stop(.fragment) }
        (start, end) = (20, Int(number(2..<4)))
        source = .v4(IPv4Address(rawValue: UInt32(number(12..<16))))
        destination = .v4(IPv4Address(rawValue: UInt32(number(16..<20))))
        transport = ip[9]
    }

    private mutating func readV6() throws(Stop) {
        isV6 = true
        if ip.count < 40 { throw Stop(.truncated) }
        if ip[0] >> 4 != 6 { throw Stop(.notIP) }
        (start, end) = (40, 40 + Int(number(4..<6)))
        source = .v6(IPv6Address(high: number(8..<16), low: number(16..<24)))
        destination = .v6(IPv6Address(high: number(24..<32), low: number(32..<40)))
        transport = ip[6]
    }

    private mutating func walkExtensions() throws(Stop) {
        guard isV6 else { return }
        var (count, length) = (0, 0)
        while true {
            switch transport {
            case 44: throw Stop(.fragment)
            case 43: throw Stop(.routingHeader)
            case 51, 135, 139, 140: throw Stop(.extensionHeader)
            case 0: if count > 0 { throw Stop(.extensionHeader) }
            case 60: break
            default: return
            }
            if start + 8 > end || ip.count < start + 2 { throw Stop(.truncated) }
            transport = ip[start]
            let size = (Int(ip[start + 1]) + 1) * 8
            (start, length, count) = (start + size, length + size, count + 1)
            if length > 256 || count > 8 { throw Stop(.longHeaders) }
        }
    }

    private mutating func readTransport() throws(Stop) {
        switch transport {
        case 6:
            try need(20)
            let header = Int(ip[start + 12] >> 4) * 4
            if header < 20 || start + header > end { throw Stop(.truncated) }
            flags = ip[start + 13]
        case 17:
            try need(8)
            let length = Int(number(start + 4..<start + 6))
            if length < 8 || start + length > end { throw Stop(.truncated) }
        case icmp:
            try need(8)
            (type, echo) = (ip[start], UInt16(number(start + 4..<start + 6)))
            return
        default: return
        }
        (sourcePort, destinationPort) = (UInt16(number(start..<start + 2)), UInt16(number(start + 2..<start + 4)))
    }

    private func need(_ count: Int) throws(Stop) {
        if start + count > end || ip.count < start + count { throw Stop(.truncated) }
    }

    private func number(_ range: Range<Int>) -> UInt64 { ip[range].reduce(0) { $0 << 8 | UInt64($1) } }
}
