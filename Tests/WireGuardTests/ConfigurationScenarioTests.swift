import Foundation
import Mesh
import Testing

@testable import WireGuard

/// The scenarios of the Linux kernel's own test of WireGuard (tools/testing/selftests/wireguard/netns.sh) that are
/// about configuration. What the device reports to us is what `wg` reports.
@Suite struct ConfigurationScenarioTests {
    @Test func `one peer holds thousands of prefixes of both kinds`() throws {
        let prefixes = (0..<16).flatMap { high in
            (0..<256).flatMap { [prefix("10.7.\(high).\($0)/32"), prefix("fd00:\(high):\($0)::/48")] }
        }
        #expect(prefixes.count == 8192)
        try check([key(1): PeerConfiguration(allowedIPs: Set(prefixes))])
    }

    @Test func `forty peers hold fifty-two prefixes each`() throws {
        try check(
            Dictionary(
                uniqueKeysWithValues: (1...40).map { peer in
                    (
                        key(peer),
                        PeerConfiguration(
                            allowedIPs: Set(
                                (0..<26).flatMap {
                                    [prefix("10.\(peer).\($0).0/24"), prefix("fd00:\(peer)::\($0)/128")]
                                }
                            ))
                    )
                }))
    }

    @Test func `many peers without a prefix come before one with prefixes`() throws {
        var peers = Dictionary(
            uniqueKeysWithValues: (1...29).map { (key($0), PeerConfiguration(allowedIPs: [])) })
        peers[key(30)] = PeerConfiguration(allowedIPs: Set((0..<100).map { prefix("10.0.\($0).0/24") }))
        try check(peers)
    }

    @Test func `a peer without a prefix comes before one with many`() throws {
        try check([
            key(1): PeerConfiguration(allowedIPs: []),
            key(2): PeerConfiguration(allowedIPs: Set((1...197).map { prefix("fd00::\($0):0/112") })),
        ])
    }

    @Test func `keys are set, changed and taken away`() throws {
        let (place, device) = (try Workshop(), uniqueDevice())
        try place.create(device)
        defer { try? place.backend.delete(device) }
        let fresh = try place.backend.state(of: device)
        #expect(fresh.publicKey == nil && fresh.peers.isEmpty)
        let bare = PeerConfiguration(allowedIPs: [])
        for shared in [PresharedKey.generate(), nil, .generate(), .generate(), nil] {
            let secret = WireGuardPrivateKey.generate()
            let sharing = PeerConfiguration(allowedIPs: [], presharedKey: shared)
            try place.backend.configure(
                device, as: DeviceConfiguration(privateKey: secret, peers: [key(1): sharing, key(2): bare]))
            let state = try place.backend.state(of: device)
            #expect(state.publicKey == secret.publicKey)
            #expect(state.peers.mapValues(\.presharedKey) == [key(1): shared, key(2): nil])
            #expect(try place.wg(device, "private-key") == encodeBase64(clamped(secret.bytes)) + "\n")
            #expect(
                Set(try place.wg(device, "preshared-keys").split(separator: "\n")) == [
                    "\(key(1))\t\(shared.map { encodeBase64($0.bytes) } ?? "(none)")", "\(key(2))\t(none)",
                ])
        }
    }

    @Test func `the device's own key is no peer, also when the key changes`() throws {
        let (place, device) = (try Workshop(), uniqueDevice())
        try place.create(device)
        defer { try? place.backend.delete(device) }
        let (one, two) = (WireGuardPrivateKey.generate(), WireGuardPrivateKey.generate())
        func set(_ secret: WireGuardPrivateKey?, adding peer: WireGuardPublicKey?) throws -> Set<WireGuardPublicKey> {
            let peers = peer.map { [$0: DeviceChanges.PeerAddition(isNew: true)] } ?? [:]
            try place.backend.apply(
                DeviceChanges(loosening: .init(privateKey: secret, peers: peers)), to: device)
            let reported = Set(try place.backend.state(of: device).peers.keys)
            #expect(reported == Set(try peersOfWg(place, device)))
            return reported
        }
        #expect(try set(one, adding: one.publicKey) == [])
        #expect(try set(nil, adding: two.publicKey) == [two.publicKey])
        #expect(try set(two, adding: nil) == [])
        #expect(try set(nil, adding: one.publicKey) == [one.publicKey])
        #expect(try set(nil, adding: two.publicKey) == [one.publicKey])

        // By a whole configuration, in one go.
        try place.backend.configure(
            device, as: DeviceConfiguration(privateKey: one, peers: [two.publicKey: PeerConfiguration(allowedIPs: [])]))
        #expect(Set(try place.backend.state(of: device).peers.keys) == [two.publicKey])
    }

    @Test func `a key that is not clamped is the same key`() throws {
        let (place, device) = (try Workshop(), uniqueDevice())
        try place.create(device)
        defer { try? place.backend.delete(device) }
        let secret = try #require(WireGuardPrivateKey(bytes: Array(repeating: 0xff, count: 32)))
        let wanted = try DeviceConfiguration(privateKey: secret)
        try place.backend.configure(device, as: wanted)
        #expect(try place.wg(device, "private-key") == encodeBase64(clamped(secret.bytes)) + "\n")
        #expect(try place.wg(device, "public-key") == "\(secret.publicKey)\n")
        #expect(try place.backend.configure(device, as: wanted).isEmpty)
    }

    @Test func `nested prefixes of different peers move about, and each has one holder`() throws {
        let (place, device) = (try Workshop(), uniqueDevice())
        try place.create(device)
        defer { try? place.backend.delete(device) }
        let nested = [
            "0.0.0.0/0", "10.0.0.0/8", "100.0.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "10.1.0.0/16", "10.1.1.0/24",
            "10.1.1.1/32", "::/0", "1700::/111", "5000::/4", "e000::/37", "9000::/75", "5000::1/128",
        ].map(prefix)
        var random = SeededRandom(seed: 32)
        let secret = WireGuardPrivateKey.generate()
        for _ in 0..<12 {
            var peers: [WireGuardPublicKey: PeerConfiguration] = [:]
            for number in 1...4 { peers[key(number)] = PeerConfiguration(allowedIPs: []) }
            for prefix in nested where Int.random(in: 0..<5, using: &random) > 0 {
                peers[key(Int.random(in: 1...4, using: &random))]?.allowedIPs.insert(prefix)
            }
            try place.backend.configure(device, as: DeviceConfiguration(privateKey: secret, peers: peers))
            try expect(device, of: place, holds: peers)
        }
    }

    @Test func `a peer whose key is a point of low order is never spoken to`() throws {
        let (place, device) = (try Workshop(), uniqueDevice())
        try place.create(device)
        defer { try? place.backend.delete(device) }
        let good = WireGuardPrivateKey.generate().publicKey
        let keys =
            try lowOrderPoints.map { try #require(bytes(hex: $0).flatMap(WireGuardPublicKey.init(bytes:))) } + [good]
        let peers = Dictionary(
            uniqueKeysWithValues: keys.enumerated().map { index, key in
                (
                    key,
                    PeerConfiguration(
                        allowedIPs: [prefix("10.4.0.\(index + 2)/32")], endpoint: Endpoint("127.0.0.1:1111"))
                )
            })
        try place.backend.configure(device, as: DeviceConfiguration(privateKey: .generate(), peers: peers))
        let links = try Links(in: place.namespace)
        let own = try #require(IPv4Address("10.4.0.1"))
        try links.bringUp(.loopback)
        try links.add(own, to: device)
        try links.bringUp(device)
        try links.addRoute(to: prefix("10.4.0.0/14"), through: device)

        let sender = try UDPSocket(in: place.namespace, at: own)
        for index in keys.indices {
            try sender.send(1, to: IPv4Address(rawValue: 0x0a04_0002 + UInt32(index)), port: 9)
        }
        // The last one in line has been served, and so have the others.
        #expect(eventually { ((try? place.backend.state(of: device).peers[good]?.sentBytes) ?? 0) > 0 })
        let state = try place.backend.state(of: device)
        #expect(state.peers.filter { $0.value.sentBytes > 0 }.keys.map(\.self) == [good])
    }

    @Test func `an unknown device is an error of wg, and of ours`() throws {
        let (place, device) = (try Workshop(), uniqueDevice())
        #expect(throws: CommandFailed.self) { try place.wg(device, "dump") }
        #expect(throws: WireGuardError.self) { try place.backend.state(of: device) }
    }
}

/// The points of small order (https://cr.yp.to/ecdh.html#validate) that fit in 255 bits.
private let lowOrderPoints = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]

/// RFC 7748 §5.
private func clamped(_ bytes: [UInt8]) -> [UInt8] {
    [bytes[0] & 0xf8] + bytes[1..<31] + [bytes[31] & 0x7f | 0x40]
}

private func key(_ number: Int) -> WireGuardPublicKey { WireGuardTests.key(UInt8(number)) }

/// Configures a device of its own, and compares; then without any peer.
private func check(_ peers: [WireGuardPublicKey: PeerConfiguration]) throws {
    let (place, device) = (try Workshop(), uniqueDevice())
    try place.create(device)
    defer { try? place.backend.delete(device) }
    let secret = WireGuardPrivateKey.generate()
    try place.backend.configure(device, as: DeviceConfiguration(privateKey: secret, peers: peers))
    try expect(device, of: place, holds: peers)
    try place.backend.configure(device, as: DeviceConfiguration(privateKey: secret))
    try expect(device, of: place, holds: [:])
}

private func expect(
    _ device: DeviceName, of place: Workshop, holds peers: [WireGuardPublicKey: PeerConfiguration]
) throws {
    let reported = try place.backend.state(of: device).peers
    #expect(reported.mapValues(\.allowedIPs) == peers.mapValues(\.allowedIPs))
    var seen: [String: Set<String>] = [:]
    for line in try place.wg(device, "allowed-ips").split(separator: "\n") {
        let fields = line.split(whereSeparator: { $0 == "\t" || $0 == " " }).map(String.init)
        seen[fields[0]] = Set(fields.dropFirst().filter { $0 != "(none)" })
    }
    let expected = peers.map { ("\($0)", Set($1.allowedIPs.map(\.description))) }
    #expect(seen == Dictionary(uniqueKeysWithValues: expected))
}

private func peersOfWg(_ place: Workshop, _ device: DeviceName) throws -> [WireGuardPublicKey] {
    try place.wg(device, "peers").split(separator: "\n").compactMap { WireGuardPublicKey(base64: String($0)) }
}
