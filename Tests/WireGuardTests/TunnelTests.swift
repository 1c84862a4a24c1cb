import Mesh
import Testing

@testable import WireGuard

@Suite struct TunnelTests {
    @Test func `two devices shake hands and a byte passes over TCP`() throws {
        let tunnel = try Tunnel()
        try tunnel.near.raise(in: tunnel.cable.here)
        try tunnel.far.raise(in: tunnel.cable.there)

        #expect(try tunnel.sendByte(from: tunnel.cable.here, to: tunnel.cable.there) == 42)

        let state = try tunnel.backend.state(of: tunnel.near.device)
        let peer = try #require(state.peers[tunnel.far.publicKey])
        #expect(peer.lastHandshake != nil)
        #expect(peer.receivedBytes > 0 && peer.sentBytes > 0)
        #expect(peer.endpoint == tunnel.far.endpoint)
        let handshakes = try tunnel.cable.here.entering {
            try run("wg", "show", tunnel.near.device.rawValue, "latest-handshakes")
        }
        #expect(handshakes == "\(tunnel.far.publicKey)\t\((peer.lastHandshake?.rawValue ?? 0) / 1000)\n")
    }

    @Test func `a device that moved still has its socket at home`() throws {
        let tunnel = try Tunnel()
        let enclosure = try NetworkNamespace.create()
        try tunnel.cable.here.entering { try tunnel.backend.move(tunnel.near.device, to: enclosure) }
        try tunnel.near.raise(in: enclosure)
        try tunnel.far.raise(in: tunnel.cable.there)

        #expect(try Links(in: tunnel.cable.here).index(of: tunnel.near.device) == nil)
        #expect(try tunnel.sendByte(from: enclosure, to: tunnel.cable.there) == 42)
        #expect(try tunnel.near.reconfigure().isEmpty)

        try tunnel.backend.delete(tunnel.near.device)
        #expect(try Links(in: enclosure).index(of: tunnel.near.device) == nil)
    }

    @Test func `a peer that was removed reaches nothing`() throws {
        let tunnel = try Tunnel()
        try tunnel.near.raise(in: tunnel.cable.here)
        try tunnel.far.raise(in: tunnel.cable.there)
        #expect(try tunnel.sendByte(from: tunnel.cable.here, to: tunnel.cable.there) == 42)

        try tunnel.backend.configure(
            tunnel.far.device,
            as: DeviceConfiguration(privateKey: tunnel.far.secret, listenPort: tunnel.far.endpoint.port))
        #expect(throws: SocketError.self) {
            try tunnel.sendByte(from: tunnel.cable.here, to: tunnel.cable.there, patience: 1)
        }
    }

    @Test func `peers that share one more key reach each other, and others do not`() throws {
        let tunnel = try Tunnel()
        try tunnel.near.raise(in: tunnel.cable.here)
        try tunnel.far.raise(in: tunnel.cable.there)
        let shared = PresharedKey.generate()
        try tunnel.near.configure { $0.presharedKey = shared }
        #expect(throws: SocketError.self) {
            try tunnel.sendByte(from: tunnel.cable.here, to: tunnel.cable.there, patience: 1)
        }
        try tunnel.far.configure { $0.presharedKey = shared }
        #expect(try tunnel.sendByte(from: tunnel.cable.here, to: tunnel.cable.there) == 42)
        #expect(try tunnel.near.configure { $0.presharedKey = shared }.isEmpty)
    }
}
