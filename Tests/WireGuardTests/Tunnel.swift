import Mesh
import Testing

@testable import WireGuard

/// Two machines with a cable between them, each with a WireGuard device that knows the other.
///
/// Machine N has 192.0.2.N and fd01::N on the underlay, and 10.4.0.N in the mesh.
final class Tunnel {
    let cable: Cable
    let near: End
    let far: End
    let workshop: Workshop
    let backend: any WireGuardBackend

    struct End {
        let device: DeviceName
        /// Its interface on the underlay.
        let wire: DeviceName
        let secret: WireGuardPrivateKey
        let peer: WireGuardPublicKey
        let address: IPv4Address
        let endpoint: Endpoint
        let configuration: DeviceConfiguration
        let backend: any WireGuardBackend

        var publicKey: WireGuardPublicKey { secret.publicKey }

        func reconfigure() throws -> DeviceChanges { try backend.configure(device, as: configuration) }

        /// The configuration with something else about the other end.
        @discardableResult
        func configure(
            port: Port? = nil, _ change: (inout PeerConfiguration) -> Void
        ) throws -> DeviceChanges {
            var other = try #require(configuration.peers[peer])
            change(&other)
            return try backend.configure(
                device,
                as: DeviceConfiguration(
                    privateKey: secret, listenPort: port ?? configuration.listenPort, peers: [peer: other]))
        }

        /// What is left to do once the device is where it belongs.
        func raise(in namespace: borrowing NetworkNamespace) throws {
            let links = try Links(in: namespace)
            try links.add(address, to: device)
            try links.bringUp(device)
            try links.addRoute(to: prefix("10.4.0.0/14"), through: device)
        }

        /// What the device says of the other end.
        func report() throws -> PeerState { try #require(try backend.state(of: device).peers[peer]) }
    }

    init(over kind: BackendKind = backendUnderTest) throws {
        workshop = try Workshop()
        backend = kind == .userspace ? workshop.userspace : workshop.backend
        let wires = (uniqueDevice(), uniqueDevice())
        cable = try Cable(wires.0, wires.1)
        let secrets = (WireGuardPrivateKey.generate(), WireGuardPrivateKey.generate())
        near = try Self.end(1, secrets.0, knowing: secrets.1.publicKey, at: 2, wires.0, cable.here, backend)
        far = try Self.end(2, secrets.1, knowing: secrets.0.publicKey, at: 1, wires.1, cable.there, backend)
    }

    deinit {
        for end in [near, far] { try? backend.delete(end.device) }
    }

    private static func end(
        _ number: UInt32, _ secret: WireGuardPrivateKey, knowing peer: WireGuardPublicKey, at other: UInt32,
        _ wire: DeviceName, _ namespace: borrowing NetworkNamespace, _ backend: any WireGuardBackend
    ) throws -> End {
        let links = try Links(in: namespace)
        try links.add(IPv4Address(rawValue: 0xc000_0200 + number), length: 24, to: wire)
        try links.add(IPv6Address(high: 0xfd01 << 48, low: UInt64(number)), length: 64, to: wire)
        try links.bringUp(wire)
        let device = uniqueDevice()
        try namespace.entering { try backend.create(device, mtu: 1380) }
        let endpoint = try #require(Endpoint("192.0.2.\(number):51820"))
        let configuration = try DeviceConfiguration(
            privateKey: secret, listenPort: endpoint.port,
            peers: [
                peer: PeerConfiguration(
                    allowedIPs: [prefix("10.4.0.\(other)/32")], endpoint: Endpoint("192.0.2.\(other):51820"))
            ])
        try backend.configure(device, as: configuration)
        return End(
            device: device, wire: wire, secret: secret, peer: peer,
            address: IPv4Address(rawValue: 0x0a04_0000 + number), endpoint: endpoint, configuration: configuration,
            backend: backend)
    }

    /// The byte that arrives.
    func sendByte(
        from source: borrowing NetworkNamespace, as sender: IPv4Address? = nil,
        to target: borrowing NetworkNamespace, patience: Int = 10 * slowness
    ) throws -> UInt8 {
        let listener = try TCPSocket(in: target, patience: patience)
        let port = try listener.listen(on: far.address)
        let client = try TCPSocket(in: source, patience: patience)
        if let sender { try client.bind(to: sender, port: 0) }
        try client.connect(to: far.address, port: port)
        try client.send(42)
        return try listener.accept().receive()
    }
}
