import Foundation
import Mesh
import Testing

@testable import WireGuard

@Suite struct UserspaceBackendTests {
    @Test func `a device whose record was lost is deleted all the same`() throws {
        let place = try Workshop()
        let device = uniqueDevice()
        try place.createInUserspace(device)
        try FileManager.default.removeItem(atPath: "\(place.directory)/\(device).pid")

        try UserspaceBackend(directory: place.directory).delete(device)
        #expect(try place.leftovers(of: device).isEmpty)
    }

    @Test func `a killed process is no device, and a new one takes its name`() throws {
        let place = try Workshop()
        let device = uniqueDevice()
        try place.createInUserspace(device)
        let process = try place.process(of: device)
        kill(process.identifier, SIGKILL)

        #expect(eventually { (try? place.userspace.exists(device)) == false })
        #expect(
            eventually {
                _ = try? place.userspace.exists(device)
                return !FileManager.default.fileExists(atPath: "/proc/\(process.identifier)")
            })
        #expect(throws: WireGuardError.self) { try place.userspace.state(of: device) }
        try place.createInUserspace(device)
        #expect(try place.userspace.exists(device))
        try place.userspace.delete(device)
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
        var found: DaemonProcess?
        #expect(
            eventually {
                found = try? DaemonProcess(identifier: bystander.processIdentifier, program: "/usr/bin/sleep")
                return found != nil
            })
        try #require(found).record.write(toFile: "\(place.directory)/\(device).pid", atomically: true, encoding: .utf8)

        try place.userspace.delete(device)
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
        try place.createInUserspace(device)
        defer { try? place.userspace.delete(device) }
        let log = try #require(FileHandle(forWritingAtPath: place.userspace.logPath(of: device)))
        try log.seekToEnd()
        try log.write(contentsOf: Data(repeating: 10, count: 2 << 20))

        _ = try place.userspace.state(of: device)
        #expect(
            try FileManager.default.attributesOfItem(atPath: place.userspace.logPath(of: device))[.size] as? Int ?? 0
                < 4096)
        try place.userspace.configure(device, as: DeviceConfiguration(privateKey: .generate()))
        let text = try String(contentsOfFile: place.userspace.logPath(of: device), encoding: .utf8)
        #expect(text.hasPrefix("DEBUG: (\(device))"))
    }

    @Test func `a device goes with the namespace that it is in`() throws {
        let tunnel = try Tunnel(over: .userspace)
        try moveIntoNamespaceThatEnds(tunnel.near.device, from: tunnel.cable.here)
        #expect(eventually { (try? tunnel.backend.exists(tunnel.near.device)) == false })
        try tunnel.backend.delete(tunnel.near.device)
    }

    @Test func `a packet whose source is not its sender's is dropped and named in the log`() throws {
        let tunnel = try Tunnel(over: .userspace)
        try tunnel.near.raise(in: tunnel.cable.here)
        try tunnel.far.raise(in: tunnel.cable.there)
        let stolen = try #require(IPv4Address("10.4.0.9"))
        try Links(in: tunnel.cable.here).add(stolen, to: tunnel.near.device)

        #expect(throws: SocketError.self) {
            try tunnel.sendByte(from: tunnel.cable.here, as: stolen, to: tunnel.cable.there, patience: 1)
        }
        let log = try String(contentsOfFile: tunnel.workshop.userspace.logPath(of: tunnel.far.device), encoding: .utf8)
        #expect(log.contains("IPv4 packet with disallowed source address from peer("))
    }

    private func moveIntoNamespaceThatEnds(_ device: DeviceName, from home: borrowing NetworkNamespace) throws {
        let enclosure = try NetworkNamespace.create()
        try Links(in: home).move(device, to: enclosure)
    }

    @Test func `the end of a process is told once, to whoever made the device and to whoever adopted it`() throws {
        let (place, device, other) = (try Workshop(), uniqueDevice(), uniqueDevice())
        defer { for name in [device, other] { try? place.userspace.delete(name) } }
        for name in [device, other] { try place.createInUserspace(name) }
        let later = UserspaceBackend(directory: place.directory)
        #expect(try later.exists(device))
        let backends = [place.userspace, later]
        for backend in backends {
            let endings = try #require(backend.endings)
            #expect(!isReadable(endings.descriptor, within: .zero))
        }

        kill(try place.process(of: device).identifier, SIGKILL)
        for backend in backends {
            let endings = try #require(backend.endings)
            #expect(isReadable(endings.descriptor, within: .seconds(10)))
            #expect(endings.take() == [device])
            #expect(endings.take().isEmpty)
            #expect(!isReadable(endings.descriptor, within: .zero))
        }
        #expect(eventually { (try? place.userspace.exists(device)) == false })
        #expect(try place.userspace.exists(other))
    }

    @Test func `a device that loses its interface is told`() throws {
        let (place, device) = (try Workshop(), uniqueDevice())
        try place.createInUserspace(device)
        defer { try? place.userspace.delete(device) }
        try Links(in: place.namespace).delete(device)
        let endings = try #require(place.userspace.endings)
        #expect(isReadable(endings.descriptor, within: .seconds(10)))
        #expect(endings.take() == [device])
    }

    private func isReadable(_ descriptor: Int32, within patience: Duration) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return unsafe poll(&entry, 1, Int32(patience.components.seconds * 1000)) > 0
    }
}
