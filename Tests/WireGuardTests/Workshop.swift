import Foundation
import Testing

@testable import WireGuard

/// The backend that the tests are about: that of `POSTERN_TEST_BACKEND`, or `userspace`. On a machine that does not
/// have it they fail.
let backendUnderTest: BackendKind = {
    let name = ProcessInfo.processInfo.environment["POSTERN_TEST_BACKEND"] ?? BackendKind.userspace.rawValue
    guard let kind = BackendKind(rawValue: name) else { fatalError("`\(name)` is no backend") }
    return kind
}()

/// A directory and a network namespace for devices.
final class Workshop {
    let directory: String
    let namespace: NetworkNamespace
    /// The backend under test.
    let backend: any WireGuardBackend
    /// For what only this one does.
    let userspace: UserspaceBackend

    init() throws {
        directory = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
        namespace = try .create()
        userspace = UserspaceBackend(directory: directory)
        backend = makeBackend(directory)
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    /// As another process, or a later run, would see the devices.
    func anotherBackend() -> any WireGuardBackend { makeBackend(directory) }

    func create(_ device: DeviceName) throws {
        try namespace.entering { try backend.create(device, mtu: 1380) }
    }

    func createInUserspace(_ device: DeviceName) throws {
        try namespace.entering { try userspace.create(device, mtu: 1380) }
    }

    /// What `wg show` prints.
    func wg(_ device: DeviceName, _ topic: String) throws -> String {
        try namespace.entering { try run("wg", "show", device.rawValue, topic) }
    }

    func process(of device: DeviceName) throws -> DaemonProcess {
        let record = try String(contentsOfFile: "\(directory)/\(device).pid", encoding: .utf8)
        return try #require(DaemonProcess(record: record))
    }

    /// The files that there are about a device.
    func leftovers(of device: DeviceName) throws -> [String] {
        let sockets = (try? FileManager.default.contentsOfDirectory(atPath: "/var/run/wireguard")) ?? []
        return try FileManager.default.contentsOfDirectory(atPath: directory)
            + sockets.filter { $0 == "\(device).sock" }
    }
}

func makeBackend(_ directory: String) -> any WireGuardBackend {
    switch backendUnderTest {
    case .kernel: KernelBackend(directory: directory)
    case .userspace: UserspaceBackend(directory: directory)
    }
}
