package import WireGuard

/// Hears of devices that somebody else ended or changed, as soon as that has happened.
///
/// Two descriptors: the processes that carry WireGuard in user space, wherever their devices are, and what the kernel tells
/// of the interfaces, addresses and routes of the daemon's own namespace. What neither hears is found by looking.
package final class DeviceWatch: Sendable {
    private let endings: DeviceEndings?
    private let links: LinkWatch

    /// So long nobody is woken again: what we change ourselves comes back as news, and routes may change all the time.
    private static let calm: Int32 = 250

    package init(_ backend: any WireGuardBackend) throws(LinkError) {
        endings = backend.endings
        links = try LinkWatch()
    }

    /// Takes what there is to hear; gives the devices whose process has ended.
    package func take() -> Set<DeviceName> {
        links.drain()
        return endings?.take() ?? []
    }

    /// Calls `body`, which takes what there is, whenever there is something, until the task is cancelled.
    package func hearing(_ body: @Sendable () async -> Void) async throws(NodeError) {
        let stop = try StopSignal()
        let (wakeUps, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        await withDiscardingTaskGroup { group in
            group.addTask { [self] in
                await onThread("postern-devices", stop: stop) {
                    // Both stay readable until somebody has taken what there is: the pause keeps this from spinning.
                    while !readable([stop.descriptor, self.endings?.descriptor ?? -1, self.links.descriptor]).contains(
                        0)
                    {
                        continuation.yield()
                        if !readable([stop.descriptor], timeout: Self.calm).isEmpty { break }
                    }
                    continuation.finish()
                }
            }
            for await _ in wakeUps { await body() }
            group.cancelAll()
        }
    }
}
