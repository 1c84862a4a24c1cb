import Foundation
import Mesh
import Testing

@testable import WireGuard

@Suite struct UserspaceBackendTests {
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
                    keepalive: .seconds(25)),
                key(2): PeerConfiguration(allowedIPs: []),
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
            Set(try run("wg", "show", device.rawValue, "allowed-ips").split(separator: "\n"))
                == ["\(key(1))\t10.0.0.1/32", "\(key(2))\tfd00::2/128"])
        #expect(
            Set(try run("wg", "show", device.rawValue, "endpoints").split(separator: "\n"))
                == ["\(key(1))\t192.0.2.1:7", "\(key(2))\t(none)"])
        #expect(try run("wg", "show", device.rawValue, "public-key") == "\(secret.publicKey)\n")
        #expect(try run("wg", "show", device.rawValue, "listen-port") == "51821\n")
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
        let place = try Workshop()
        let device = uniqueDevice()
        try place.create(device)
        let second = UserspaceBackend(directory: place.directory)

        #expect(try second.exists(device))
        #expect(throws: WireGuardError(.create, device, .exists)) { try second.create(device, mtu: 1380) }
        try second.delete(device)
        #expect(try !place.backend.exists(device))
        #expect(try place.leftovers(of: device).isEmpty)
    }

    @Test func `a device whose record was lost is deleted all the same`() throws {
        let place = try Workshop()
        let device = uniqueDevice()
        try place.create(device)
        try FileManager.default.removeItem(atPath: "\(place.directory)/\(device).pid")

        try UserspaceBackend(directory: place.directory).delete(device)
        #expect(try place.leftovers(of: device).isEmpty)
    }

    @Test func `a killed process is no device, and a new one takes its name`() throws {
        let place = try Workshop()
        let device = uniqueDevice()
        try place.create(device)
        let process = try place.process(of: device)
        kill(process.identifier, SIGKILL)

        #expect(wait(upTo: .seconds(2)) { (try? place.backend.exists(device)) == false })
        #expect(
            wait(upTo: .seconds(2)) {
                _ = try? place.backend.exists(device)
                return !FileManager.default.fileExists(atPath: "/proc/\(process.identifier)")
            })
        #expect(throws: WireGuardError.self) { try place.backend.state(of: device) }
        try place.create(device)
        #expect(try place.backend.exists(device))
        try place.backend.delete(device)
        #expect(try place.leftovers(of: device).isEmpty)
    }

    @Test func `a record of somebody else's process ends nobody`() throws {
        let place = try Workshop()
        let device = uniqueDevice()
        let bystander = Process()
        bystander.executableURL = URL(filePath: "/usr/bin/sleep")
        bystander.arguments = ["60"]
        try bystander.run()
        defer { bystander.terminate() }
        let status = try #require(try DaemonProcess(identifier: bystander.processIdentifier, program: "/usr/bin/sleep"))
        try status.record.write(toFile: "\(place.directory)/\(device).pid", atomically: true, encoding: .utf8)

        try place.backend.delete(device)
        #expect(bystander.isRunning)
        #expect(try place.leftovers(of: device).isEmpty)
    }

    @Test func `a program that is not there or fails is named`() throws {
        let place = try Workshop()
        let device = uniqueDevice()
        let missing = UserspaceBackend(directory: place.directory, program: "/usr/bin/no-such-program")
        #expect(throws: WireGuardError(.create, device, .system(ENOENT))) { try missing.create(device, mtu: 1380) }

        let failing = UserspaceBackend(directory: place.directory, program: "/usr/bin/false")
        let error = #expect(throws: WireGuardError.self) { try failing.create(device, mtu: 1380) }
        #expect(
            error?.description == "cannot create the WireGuard device `\(device)`: "
                + "`/usr/bin/false` ended at once and wrote nothing")
        #expect(try place.leftovers(of: device).isEmpty)
    }

    @Test func `a device that is not there has no state`() {
        let device = uniqueDevice()
        let error = #expect(throws: WireGuardError.self) {
            try UserspaceBackend(directory: "/tmp").state(of: device)
        }
        #expect(
            error?.description
                == "cannot read the WireGuard device `\(device)`: no such file or directory (errno 2)")
    }

    @Test func `a log that a peer can fill is emptied, and written on`() throws {
        let place = try Workshop()
        let device = uniqueDevice()
        try place.create(device)
        defer { try? place.backend.delete(device) }
        let log = try #require(FileHandle(forWritingAtPath: place.backend.logPath(of: device)))
        try log.seekToEnd()
        try log.write(contentsOf: Data(repeating: 10, count: 2 << 20))

        _ = try place.backend.state(of: device)
        #expect(
            try FileManager.default.attributesOfItem(atPath: place.backend.logPath(of: device))[.size] as? Int ?? 0
                < 4096)
        try place.backend.configure(device, as: DeviceConfiguration(privateKey: .generate()))
        let text = try String(contentsOfFile: place.backend.logPath(of: device), encoding: .utf8)
        #expect(text.hasPrefix("DEBUG: (\(device))"))
    }

    @Test func `what the device refuses is told`() throws {
        let (place, other) = (try Workshop(), uniqueDevice())
        let device = uniqueDevice()
        try place.create(device)
        try place.create(other)
        defer { for name in [device, other] { try? place.backend.delete(name) } }
        let taken = try DeviceConfiguration(privateKey: .generate(), listenPort: Port("51820"))
        try place.backend.configure(device, as: taken)
        #expect(throws: WireGuardError(.change, other, .refused(EADDRINUSE))) {
            try place.backend.configure(other, as: taken)
        }
    }
}

/// A directory and a network namespace for devices.
final class Workshop {
    let directory: String
    let namespace: NetworkNamespace
    let backend: UserspaceBackend

    init() throws {
        directory = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
        namespace = try .create()
        backend = UserspaceBackend(directory: directory)
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    func create(_ device: DeviceName) throws {
        try namespace.entering { try backend.create(device, mtu: 1380) }
    }

    func process(of device: DeviceName) throws -> DaemonProcess {
        let record = try String(contentsOfFile: "\(directory)/\(device).pid", encoding: .utf8)
        return try #require(DaemonProcess(record: record))
    }

    func leftovers(of device: DeviceName) throws -> [String] {
        let sockets = (try? FileManager.default.contentsOfDirectory(atPath: "/var/run/wireguard")) ?? []
        return try FileManager.default.contentsOfDirectory(atPath: directory)
            + sockets.filter { $0 == "\(device).sock" }
    }
}
