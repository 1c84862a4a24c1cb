import Foundation
import Glibc
import Mesh
import Testing

@testable import WireGuard

/// What every backend does.
@Suite struct BackendTests {
    @Test func `the backend under test is one that this machine has`() throws {
        let place = try Workshop()
        #expect(
            try Backends.choose(override: backendUnderTest, directory: place.directory).kind == backendUnderTest)
    }

    @Test func `a device is made, configured once, and leaves nothing`() throws {
        let place = try Workshop()
        let device = uniqueDevice()
        try place.create(device)
        defer { try? place.backend.delete(device) }

        #expect(try place.backend.exists(device))
        #expect(try Links(in: place.namespace).all().first { $0.name == device.rawValue }?.mtu == 1380)
        let wanted = try DeviceConfiguration(
            privateKey: .generate(), listenPort: Port("51820"),
            peers: [
                key(1): PeerConfiguration(
                    allowedIPs: [prefix("10.0.0.1/32"), prefix("fd00::1/128")], endpoint: Endpoint("192.0.2.1:51820"),
                    keepalive: .seconds(25), presharedKey: .generate()),
                key(2): PeerConfiguration(allowedIPs: [], endpoint: Endpoint("[2001:db8::1]:51820")),
            ])
        #expect(try !place.backend.configure(device, as: wanted).isEmpty)
        #expect(try place.backend.configure(device, as: wanted).isEmpty)

        try place.backend.delete(device)
        #expect(try !place.backend.exists(device))
        #expect(try Links(in: place.namespace).index(of: device) == nil)
        #expect(try place.leftovers(of: device).isEmpty)
        try place.backend.delete(device)
    }

    @Test func `wg sees what was configured`() throws {
        let place = try Workshop()
        let device = uniqueDevice()
        try place.create(device)
        defer { try? place.backend.delete(device) }
        let secret = WireGuardPrivateKey.generate()
        let peers = [
            key(1): PeerConfiguration(allowedIPs: [prefix("10.0.0.1/32")], endpoint: Endpoint("192.0.2.1:7")),
            key(2): PeerConfiguration(allowedIPs: [prefix("fd00::2/128")], keepalive: .seconds(5)),
        ]
        try place.backend.configure(
            device, as: try DeviceConfiguration(privateKey: secret, listenPort: Port("51821"), peers: peers))

        #expect(
            Set(try place.wg(device, "allowed-ips").split(separator: "\n"))
                == ["\(key(1))\t10.0.0.1/32", "\(key(2))\tfd00::2/128"])
        #expect(
            Set(try place.wg(device, "endpoints").split(separator: "\n"))
                == ["\(key(1))\t192.0.2.1:7", "\(key(2))\t(none)"])
        #expect(try place.wg(device, "public-key") == "\(secret.publicKey)\n")
        #expect(try place.wg(device, "listen-port") == "51821\n")
    }

    @Test func `a prefix moves between peers in two steps`() throws {
        let place = try Workshop()
        let device = uniqueDevice()
        try place.create(device)
        defer { try? place.backend.delete(device) }
        let secret = WireGuardPrivateKey.generate()
        let (staying, moving) = (prefix("10.0.0.1/32"), prefix("10.0.0.2/32"))
        func configuration(_ holder: UInt8) throws -> DeviceConfiguration {
            try DeviceConfiguration(
                privateKey: secret,
                peers: [
                    key(1): PeerConfiguration(allowedIPs: holder == 1 ? [staying, moving] : [staying]),
                    key(2): PeerConfiguration(allowedIPs: holder == 2 ? [moving] : []),
                    key(3): PeerConfiguration(allowedIPs: []),
                ].filter { holder == 1 || $0.key != key(3) })
        }
        try place.backend.configure(device, as: configuration(1))
        let changes = try configuration(2).changes(from: place.backend.state(of: device))

        try place.backend.apply(changes.onlyTightening, to: device)
        #expect(
            try place.backend.state(of: device).peers.mapValues(\.allowedIPs) == [key(1): [staying], key(2): []])

        try place.backend.apply(changes.onlyLoosening, to: device)
        #expect(
            try place.backend.state(of: device).peers.mapValues(\.allowedIPs) == [key(1): [staying], key(2): [moving]])
    }

    @Test func `another backend adopts a device, and deletes it`() throws {
        let (place, device) = (try Workshop(), uniqueDevice())
        try place.create(device)
        let second = place.anotherBackend()
        #expect(try second.devices() == [device])
        try second.adopt(device, in: place.namespace)

        #expect(try second.exists(device))
        #expect(throws: WireGuardError(.create, device, .exists)) {
            try place.namespace.entering { try second.create(device, mtu: 1380) }
        }
        try second.delete(device)
        #expect(try !place.backend.exists(device))
        #expect(try place.leftovers(of: device).isEmpty)
        #expect(try second.devices().isEmpty)
    }

    @Test func `a device that moved is configured where it is, and deleted there`() throws {
        let (place, device) = (try Workshop(), uniqueDevice())
        let enclosure = try NetworkNamespace.create()
        try place.create(device)
        defer { try? place.backend.delete(device) }
        try place.namespace.entering { try place.backend.move(device, to: enclosure) }
        #expect(try Links(in: place.namespace).index(of: device) == nil)
        let wanted = try DeviceConfiguration(
            privateKey: .generate(), peers: [key(1): PeerConfiguration(allowedIPs: [prefix("10.0.0.1/32")])])
        #expect(try place.backend.exists(device))
        #expect(try !place.backend.configure(device, as: wanted).isEmpty)

        let later = place.anotherBackend()
        try later.adopt(device, in: enclosure)
        #expect(try later.configure(device, as: wanted).isEmpty)
        try later.delete(device)
        #expect(try Links(in: enclosure).index(of: device) == nil)
        #expect(try !place.backend.exists(device))
        #expect(try place.leftovers(of: device).isEmpty)
    }

    @Test func `a device that was never moved is deleted where it was made`() throws {
        let (place, device) = (try Workshop(), uniqueDevice())
        let enclosure = try NetworkNamespace.create()
        try place.create(device)
        let later = place.anotherBackend()
        try later.adopt(device, in: enclosure)
        try place.namespace.entering { try later.delete(device) }
        #expect(try Links(in: place.namespace).index(of: device) == nil)
        #expect(try place.leftovers(of: device).isEmpty)
    }

    @Test func `what the device refuses is told`() throws {
        let (place, device, other) = (try Workshop(), uniqueDevice(), uniqueDevice())
        defer { for name in [device, other] { try? place.backend.delete(name) } }
        for name in [device, other] {
            try place.create(name)
            // Only a device that is up has a socket.
            try Links(in: place.namespace).bringUp(name)
        }
        let taken = try DeviceConfiguration(privateKey: .generate(), listenPort: Port("51820"))
        try place.backend.configure(device, as: taken)
        #expect(throws: WireGuardError(.change, other, .refused(EADDRINUSE))) {
            try place.backend.configure(other, as: taken)
        }
    }

    @Test func `a device that is not there has no state, and takes no change`() throws {
        let (place, device) = (try Workshop(), uniqueDevice())
        #expect(throws: WireGuardError.self) { try place.backend.state(of: device) }
        let changes = DeviceChanges(loosening: .init(privateKey: .generate()))
        #expect(throws: WireGuardError.self) { try place.backend.apply(changes, to: device) }
        #expect(try !place.backend.exists(device))
        try place.backend.delete(device)
    }
}
