import Foundation
import PosternNode
import Testing
import WireGuard

/// What is heard of devices, on the real kernel.
@Suite(.serialized) struct DeviceWatchTests {
    private let host: KernelHost
    private let watch: DeviceWatch

    init() throws {
        let host = try KernelHost()
        try host.inside { try host.backend.create(host.device, mtu: 1420) }
        self.host = host
        watch = try host.inside { try DeviceWatch(host.backend) }
        _ = watch.take()
    }

    @Test(.timeLimit(.minutes(1)))
    func `a process that dies is heard of, with the name of its device`() async throws {
        let record = try String(contentsOfFile: "\(host.folder)/wireguard/\(host.device).pid", encoding: .utf8)
        let process = try #require(record.split(separator: " ").first.flatMap { Int32($0) })
        let ended = try await heard(after: { kill(process, SIGKILL) }, until: { !$0.isEmpty })
        #expect(ended == [host.device])
    }

    @Test(.timeLimit(.minutes(1)), arguments: ["set DEVICE up", "address add 192.0.2.1/32 dev DEVICE", "del DEVICE"])
    func `what somebody else does to a device is heard of`(act: String) async throws {
        let command = "ip " + (act.hasPrefix("address") ? "" : "link ") + act
        let device = host.device.rawValue
        _ = try await heard(after: { try host.shell(command.replacing("DEVICE", with: device)) }, until: { _ in true })
    }

    /// What had ended when that was first heard which is waited for.
    private func heard(
        after act: () throws -> Void, until isIt: @escaping @Sendable (Set<DeviceName>) -> Bool
    ) async throws -> Set<DeviceName> {
        let (news, continuation) = AsyncStream.makeStream(of: Set<DeviceName>.self)
        try act()
        return try await withThrowingTaskGroup(of: Set<DeviceName>?.self) { group in
            group.addTask { [watch] in
                try await watch.hearing { continuation.yield(watch.take()) }
                return nil
            }
            group.addTask { await news.first(where: isIt) }
            let first = try await group.next() ?? nil
            group.cancelAll()
            return try #require(first)
        }
    }
}
