import CLinux
import Foundation
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
        let handshakes = try run("wg", "show", tunnel.near.device.rawValue, "latest-handshakes")
        #expect(handshakes == "\(tunnel.far.publicKey)\t\((peer.lastHandshake?.rawValue ?? 0) / 1000)\n")
    }

    @Test func `a device that moved still has its socket at home`() throws {
        let tunnel = try Tunnel()
        let enclosure = try NetworkNamespace.create()
        try Links(in: tunnel.cable.here).move(tunnel.near.device, to: enclosure)
        try tunnel.near.raise(in: enclosure)
        try tunnel.far.raise(in: tunnel.cable.there)

        #expect(try Links(in: tunnel.cable.here).index(of: tunnel.near.device) == nil)
        #expect(try tunnel.sendByte(from: enclosure, to: tunnel.cable.there) == 42)
        #expect(try tunnel.near.reconfigure().isEmpty)

        try tunnel.backend.delete(tunnel.near.device)
        #expect(try Links(in: enclosure).index(of: tunnel.near.device) == nil)
    }

    @Test func `a device goes with the namespace that it is in`() throws {
        let tunnel = try Tunnel()
        try moveIntoNamespaceThatEnds(tunnel.near.device, from: tunnel.cable.here)
        #expect(wait(upTo: .seconds(5)) { (try? tunnel.backend.exists(tunnel.near.device)) == false })
        try tunnel.backend.delete(tunnel.near.device)
    }

    @Test func `a packet whose source is not its sender's is dropped and named in the log`() throws {
        let tunnel = try Tunnel()
        try tunnel.near.raise(in: tunnel.cable.here)
        try tunnel.far.raise(in: tunnel.cable.there)
        let stolen = try #require(IPv4Address("10.4.0.9"))
        try Links(in: tunnel.cable.here).add(stolen, to: tunnel.near.device)

        #expect(throws: SocketError.self) {
            try tunnel.sendByte(from: tunnel.cable.here, as: stolen, to: tunnel.cable.there, patience: 1)
        }
        let log = try String(contentsOfFile: tunnel.backend.logPath(of: tunnel.far.device), encoding: .utf8)
        #expect(log.contains("IPv4 packet with disallowed source address from peer("))
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

    private func moveIntoNamespaceThatEnds(_ device: DeviceName, from home: borrowing NetworkNamespace) throws {
        let enclosure = try NetworkNamespace.create()
        try Links(in: home).move(device, to: enclosure)
    }
}

/// Two machines, each with a WireGuard device that knows the other.
private final class Tunnel {
    let cable: Cable
    let near: End
    let far: End
    let backend: UserspaceBackend
    private let workshop = try! Workshop()

    struct End {
        let device: DeviceName
        let secret: WireGuardPrivateKey
        let address: IPv4Address
        let endpoint: Endpoint
        let backend: UserspaceBackend
        let configuration: DeviceConfiguration

        var publicKey: WireGuardPublicKey { secret.publicKey }

        func reconfigure() throws -> DeviceChanges { try backend.configure(device, as: configuration) }

        /// What is left to do once the device is where it belongs.
        func raise(in namespace: borrowing NetworkNamespace) throws {
            let links = try Links(in: namespace)
            try links.add(address, to: device)
            try links.bringUp(device)
            try links.addRoute(to: prefix("10.4.0.0/14"), through: device)
        }
    }

    init() throws {
        let wires = (uniqueDevice(), uniqueDevice())
        cable = try Cable(wires.0, wires.1)
        backend = workshop.backend
        let secrets = (WireGuardPrivateKey.generate(), WireGuardPrivateKey.generate())
        near = try Self.end(1, secrets.0, knowing: secrets.1.publicKey, at: 2, wires.0, cable.here, backend)
        far = try Self.end(2, secrets.1, knowing: secrets.0.publicKey, at: 1, wires.1, cable.there, backend)
    }

    deinit {
        for end in [near, far] { try? backend.delete(end.device) }
    }

    private static func end(
        _ number: UInt32, _ secret: WireGuardPrivateKey, knowing peer: WireGuardPublicKey, at other: UInt32,
        _ wire: DeviceName, _ namespace: borrowing NetworkNamespace, _ backend: UserspaceBackend
    ) throws -> End {
        let links = try Links(in: namespace)
        try links.add(underlayAddress(number), length: 24, to: wire)
        try links.bringUp(wire)
        let device = uniqueDevice()
        try namespace.entering { try backend.create(device, mtu: 1380) }
        let configuration = try DeviceConfiguration(
            privateKey: secret, listenPort: underlay(number).port,
            peers: [peer: PeerConfiguration(allowedIPs: [.host(mesh(other))], endpoint: underlay(other))])
        try backend.configure(device, as: configuration)
        return End(
            device: device, secret: secret, address: mesh(number), endpoint: underlay(number), backend: backend,
            configuration: configuration)
    }

    private static func underlay(_ number: UInt32) -> Endpoint {
        Endpoint(address: .v4(underlayAddress(number)), port: Port("51820")!)
    }

    private static func underlayAddress(_ number: UInt32) -> IPv4Address { IPv4Address(rawValue: 0xc000_0200 + number) }

    private static func mesh(_ number: UInt32) -> IPv4Address { IPv4Address(rawValue: 0x0a04_0000 + number) }

    /// The byte that arrives.
    func sendByte(
        from source: borrowing NetworkNamespace, as sender: IPv4Address? = nil,
        to target: borrowing NetworkNamespace, patience: Int = 10
    ) throws -> UInt8 {
        let listener = try TCPSocket(in: target, patience: patience)
        try listener.listen(on: far.address, port: 8080)
        let client = try TCPSocket(in: source, patience: patience)
        if let sender { try client.bind(to: sender, port: 0) }
        try client.connect(to: far.address, port: 8080)
        try client.send(42)
        return try listener.accept().receive()
    }
}
