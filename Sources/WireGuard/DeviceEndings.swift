internal import CLinux
internal import Glibc
internal import Synchronization

/// Tells of devices whose process has ended, each once, as soon as it has.
package final class DeviceEndings: Sendable {
    /// Readable while there is something to take; negative, as `poll` skips it, when the system gave none.
    package let descriptor: Int32
    private let watched = Mutex(Watched())

    private struct Watched {
        var lastNumber: UInt64 = 0
        var entries: [UInt64: Entry] = [:]
    }

    private final class Entry: Sendable {
        let device: DeviceName
        private let handle: ProcessHandle

        init(_ device: DeviceName, _ handle: consuming ProcessHandle) {
            self.device = device
            self.handle = handle
        }

        func register(with epoll: Int32, as number: UInt64) -> Bool { handle.register(with: epoll, as: number) }
    }

    init() { descriptor = pt_epoll_create() }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// The devices that have ended since the last time; some of them may have been deleted by us.
    package func take() -> Set<DeviceName> {
        var numbers = [UInt64](repeating: 0, count: 64)
        let count = unsafe descriptor < 0 ? 0 : pt_epoll_take(descriptor, &numbers, 64)
        return watched.withLock { watched in
            // Without its entry a handle is closed, and is not told again.
            Set(numbers.prefix(max(0, Int(count))).compactMap { watched.entries.removeValue(forKey: $0)?.device })
        }
    }

    func isWatched(_ device: DeviceName) -> Bool {
        watched.withLock { watched in watched.entries.values.contains { $0.device == device } }
    }

    /// What cannot be watched is found gone when somebody asks for it.
    func watch(_ process: DaemonProcess, of device: DeviceName) {
        guard descriptor >= 0, let entry = entry(process, device) else { return }
        watched.withLock { watched in
            watched.lastNumber += 1
            if entry.register(with: descriptor, as: watched.lastNumber) {
                watched.entries[watched.lastNumber] = entry
            }
        }
    }

    private func entry(_ process: DaemonProcess, _ device: DeviceName) -> Entry? {
        do throws(SystemError) {
            guard let handle = try ProcessHandle(process.identifier) else { return nil }
            return Entry(device, handle)
        } catch { return nil }
    }

    /// We end it ourselves: nobody needs to be told.
    func forget(_ device: DeviceName) {
        watched.withLock { watched in watched.entries = watched.entries.filter { $0.value.device != device } }
    }
}
