import CoordinationAPI
import Synchronization

/// Who hears what becomes of a session: whoever ran it, or attached to it since.
final class Audience: Sendable {
    private let connection: Mutex<LocalConnection?>

    init(_ connection: LocalConnection?) { self.connection = Mutex(connection) }

    func send(_ response: LocalResponse) { connection.withLock { $0 }?.send(response) }

    /// The one before hears no more.
    func attach(_ other: LocalConnection) {
        let before = connection.withLock { current in
            defer { current = other }
            return current
        }
        if before !== other { before?.hangUp() }
    }

    func isHeard(by other: LocalConnection) -> Bool { connection.withLock { $0 } === other }

    /// The last word.
    func finish(_ response: LocalResponse) {
        let last = connection.withLock { current in
            defer { current = nil }
            return current
        }
        last?.send(response)
        last?.hangUp()
    }
}
