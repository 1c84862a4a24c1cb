import Foundation
import Mesh
import WireGuard

/// The peers of a large mesh: as our values, and in files as `wg` reads them.
struct SimulatedPeers {
    static let count = 10_000
    /// How often one more comes.
    static let further = 20

    let many: DeviceConfiguration
    let manyFile: String
    let more: [(peer: DeviceConfiguration, file: String)]

    init(in directory: String) throws {
        let key = WireGuardPrivateKey.generate()
        many = try Self.configuration(key, 1...Self.count)
        manyFile = "\(directory)/many"
        try Self.write(many, to: manyFile)
        more = try (1...Self.further).map { number in
            let place = Self.count + number
            let configuration = try Self.configuration(key, place...place)
            let file = "\(directory)/more-\(number)"
            try Self.write(configuration, to: file, isWhole: false)
            return (configuration, file)
        }
    }

    /// Each with an address of both kinds, and an endpoint of its own.
    private static func configuration(
        _ key: WireGuardPrivateKey, _ places: ClosedRange<Int>
    ) throws -> DeviceConfiguration {
        guard let pool = AddressPool(v4Base: IPv4Address(rawValue: 10 << 24), v6Prefix: 0xfd << 56),
            let port = Port(rawValue: 51820)
        else { throw BenchError("the pool is no pool") }
        var peers: [WireGuardPublicKey: PeerConfiguration] = [:]
        for place in places {
            guard let offset = MeshOffset(rawValue: UInt32(place)) else { throw BenchError("\(place) is no place") }
            let underlay = IPv4Address(rawValue: 172 << 24 | 16 << 16 | UInt32(place))
            guard let peer = WireGuardPublicKey(bytes: (0..<32).map { _ in .random(in: 0...255) }) else {
                throw BenchError("32 bytes are no key")
            }
            peers[peer] = PeerConfiguration(
                allowedIPs: [.host(pool.ipv4(at: offset)), .host(pool.ipv6(at: offset))],
                endpoint: Endpoint(address: .v4(underlay), port: port))
        }
        return try DeviceConfiguration(privateKey: key, peers: peers)
    }

    private static func write(_ configuration: DeviceConfiguration, to path: String, isWhole: Bool = true) throws {
        var lines = isWhole ? ["[Interface]", "PrivateKey = \(base64(configuration.privateKey.bytes))"] : []
        for (key, peer) in configuration.peers {
            lines += ["[Peer]", "PublicKey = \(base64(key.bytes))"]
            lines.append("AllowedIPs = \(peer.allowedIPs.map(\.description).joined(separator: ", "))")
            if let endpoint = peer.endpoint { lines.append("Endpoint = \(endpoint)") }
        }
        try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: URL(fileURLWithPath: path))
    }

    private static func base64(_ bytes: [UInt8]) -> String { Data(bytes).base64EncodedString() }
}
