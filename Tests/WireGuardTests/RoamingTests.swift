import Foundation
import Mesh
import Testing

@testable import WireGuard

/// A peer may come from anywhere: its key says who it is, and its inner addresses follow from that alone.
@Suite struct RoamingTests {
    @Test func `an endpoint follows its peer over IPv4 and IPv6, and who it is stays`() throws {
        let tunnel = try Tunnel()
        try tunnel.near.raise(in: tunnel.cable.here)
        try tunnel.far.raise(in: tunnel.cable.there)
        let moves: [(address: String, length: Int, port: UInt16, far: String)] = [
            ("192.0.2.1", 24, 51820, "192.0.2.2"), ("192.0.2.9", 24, 9997, "192.0.2.2"),
            ("fd01::1", 64, 9997, "fd01::2"), ("fd01::9", 64, 9998, "fd01::2"),
            ("192.0.2.7", 24, 9999, "192.0.2.2"),
        ]
        for (address, length, port, far) in moves {
            try tunnel.cable.here.entering {
                try run("ip", "addr", "flush", "dev", tunnel.near.wire.rawValue, "scope", "global")
                try run(
                    "ip", "addr", "add", "\(address)/\(length)", "dev", tunnel.near.wire.rawValue, "nodad")
            }
            let farAddress = try #require(IPAddress(far))
            try tunnel.near.configure(port: Port(rawValue: port)) {
                $0.endpoint = Endpoint(address: farAddress, port: tunnel.far.endpoint.port)
            }
            #expect(try tunnel.sendByte(from: tunnel.cable.here, to: tunnel.cable.there) == 42)

            let expected = try Endpoint(address: #require(IPAddress(address)), port: #require(Port(rawValue: port)))
            #expect(eventually { (try? tunnel.far.report().endpoint) == expected })
            let endpoints = try tunnel.cable.there.entering {
                try run("wg", "show", tunnel.far.device.rawValue, "endpoints")
            }
            #expect(endpoints == "\(tunnel.near.publicKey)\t\(expected)\n")
            #expect(try tunnel.far.report().allowedIPs == [prefix("10.4.0.1/32")])
        }
        #expect(try tunnel.far.configure { $0.endpoint = nil }.isEmpty)
    }

    @Test func `a more specific prefix of another key takes the address away, though the endpoint still follows`()
        throws
    {
        let tunnel = try Tunnel()
        try tunnel.near.raise(in: tunnel.cable.here)
        try tunnel.far.raise(in: tunnel.cable.there)
        let claimed = try #require(IPv4Address("10.4.0.9"))
        try Links(in: tunnel.cable.here).add(claimed, to: tunnel.near.device)
        let wide = PeerConfiguration(allowedIPs: [prefix("10.4.0.0/24")])
        let receiver = try UDPSocket(in: tunnel.cable.there, at: tunnel.far.address, port: 9000)
        let claimant = try UDPSocket(in: tunnel.cable.here, at: claimed)
        let genuine = try UDPSocket(in: tunnel.cable.here, at: tunnel.near.address)

        try tunnel.backend.configure(tunnel.far.device, as: configuration(tunnel, [tunnel.near.publicKey: wide]))
        try claimant.send(1, to: tunnel.far.address, port: 9000)
        #expect(try receiver.receive() == 1)

        let narrow = PeerConfiguration(allowedIPs: [.host(claimed)])
        try tunnel.backend.configure(
            tunnel.far.device, as: configuration(tunnel, [tunnel.near.publicKey: wide, key(7): narrow]))
        let port = try #require(Port("9997"))
        try tunnel.near.configure(port: port) { _ in }
        try claimant.send(2, to: tunnel.far.address, port: 9000)
        #expect(eventually { (try? tunnel.far.report().endpoint?.port) == port })

        // What is sent later arrives later: the byte 2 would have come first.
        try genuine.send(3, to: tunnel.far.address, port: 9000)
        #expect(try receiver.receive() == 3)
    }

    @Test func `a new key takes the place of the old one at once`() throws {
        let tunnel = try Tunnel()
        try tunnel.near.raise(in: tunnel.cable.here)
        try tunnel.far.raise(in: tunnel.cable.there)
        #expect(try tunnel.sendByte(from: tunnel.cable.here, to: tunnel.cable.there) == 42)

        let fresh = WireGuardPrivateKey.generate()
        let peer = try #require(tunnel.far.configuration.peers[tunnel.near.publicKey])
        try tunnel.backend.configure(tunnel.far.device, as: configuration(tunnel, [fresh.publicKey: peer]))
        #expect(throws: SocketError.self) {
            try tunnel.sendByte(from: tunnel.cable.here, to: tunnel.cable.there, patience: 1)
        }
        try tunnel.backend.configure(
            tunnel.near.device,
            as: DeviceConfiguration(
                privateKey: fresh, listenPort: tunnel.near.endpoint.port, peers: tunnel.near.configuration.peers))
        #expect(try tunnel.sendByte(from: tunnel.cable.here, to: tunnel.cable.there) == 42)
        let peers = try tunnel.backend.state(of: tunnel.far.device).peers
        #expect(Set(peers.keys) == [fresh.publicKey])
        #expect(peers[fresh.publicKey]?.lastHandshake != nil)
    }

    private func configuration(
        _ tunnel: Tunnel, _ peers: [WireGuardPublicKey: PeerConfiguration]
    ) throws -> DeviceConfiguration {
        try DeviceConfiguration(
            privateKey: tunnel.far.secret, listenPort: tunnel.far.endpoint.port, peers: peers)
    }
}
