import Glibc
import Mesh

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// What listens for TCP and UDP on this machine, as `/proc/net/tcp`, `tcp6`, `udp` and `udp6` say.
struct Listeners: Equatable, Sendable {
    /// From where the listeners of a port are reached.
    enum Reach: Equatable, Sendable {
        case nowhere, loopback, mesh
        /// At this address, which is not of the mesh, or at all of them.
        case beside(String)
    }

    private struct Socket: Hashable {
        let transport: TransportProtocol
        let port: Port
    }

    private var addresses: [Socket: Set<IPAddress>] = [:]

    init(tcp: [String], udp: [String]) {
        take(tcp, .tcp, listening: Self.listening)
        take(udp, .udp, listening: Self.unconnected)
    }

    private mutating func take(_ tables: [String], _ transport: TransportProtocol, listening: String) {
        for line in tables.flatMap({ $0.split(separator: "\n").prefix(Self.mostLines) }) {
            guard let (address, port) = Self.listener(line, state: listening) else { continue }
            addresses[Socket(transport: transport, port: port), default: []].insert(address)
        }
    }

    private static let mostLines = 100_000
    /// `TCP_LISTEN` of the kernel.
    private static let listening = "0A"
    /// `TCP_CLOSE`: a socket of UDP that takes from anybody.
    private static let unconnected = "07"

    /// `   1: 0100007F:1F90 00000000:0000 0A …`
    private static func listener(_ line: Substring, state: String) -> (IPAddress, Port)? {
        let fields = line.split(separator: " ")
        guard fields.count > 3, fields[3] == state else { return nil }
        let parts = fields[1].split(separator: ":")
        guard parts.count == 2, let port = UInt16(parts[1], radix: 16).flatMap(Port.init(rawValue:)),
            let words = bytes(hex: String(parts[0])), words.count == 4 || words.count == 16
        else { return nil }
        // Each word of four bytes is in the byte order of the machine.
        let network = stride(from: 0, to: words.count, by: 4).flatMap { start in
            let word = words[start..<start + 4]
            return UInt32(1).littleEndian == 1 ? Array(word.reversed()) : Array(word)
        }
        return IPAddress(bytes: network).map { ($0.unmapped, port) }
    }

    /// From where a port is reached, on a machine with these mesh addresses.
    func reach(of port: Port, _ transport: TransportProtocol, mesh: Set<IPAddress>) -> Reach {
        let all = addresses[Socket(transport: transport, port: port), default: []]
        let others = all.filter { !mesh.contains($0) && !$0.isLoopback }.map(\.description).sorted()
        if let other = others.first {
            return .beside(other == "0.0.0.0" || other == "::" ? "all addresses" : other)
        }
        if !all.isDisjoint(with: mesh) { return .mesh }
        return all.isEmpty ? .nowhere : .loopback
    }

    static func current() -> Listeners {
        func text(_ path: String) -> String {
            FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) } ?? ""
        }
        return Listeners(
            tcp: [text("/proc/self/net/tcp"), text("/proc/self/net/tcp6")],
            udp: [text("/proc/self/net/udp"), text("/proc/self/net/udp6")])
    }
}

extension IPAddress {
    fileprivate var isLoopback: Bool {
        switch self {
        case .v4(let address): address.rawValue >> 24 == 127
        case .v6(let address): address.high == 0 && address.low == 1
        }
    }

    /// A socket of IPv6 at `::ffff:192.0.2.1` takes connections of IPv4.
    fileprivate var unmapped: IPAddress {
        guard case .v6(let address) = self, address.high == 0, address.low >> 32 == 0xffff else { return self }
        return .v4(IPv4Address(rawValue: UInt32(truncatingIfNeeded: address.low)))
    }
}
