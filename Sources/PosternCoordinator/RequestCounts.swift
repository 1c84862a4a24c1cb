import Synchronization

/// How many requests of which kind were answered how, and how long that took. A map's stream counts when it begins.
final class RequestCounts: Sendable {
    struct Key: Hashable, Sendable {
        let route: String
        let status: Int
    }

    struct Total: Sendable {
        var requests: UInt64 = 0
        var time = Duration.zero
    }

    private let totals = Mutex<[Key: Total]>([:])

    /// A path that is none of ours is `other`: what strangers make up is not kept.
    func count(_ route: Route?, status: Int, took time: Duration) {
        totals.withLock { totals in
            totals[Key(route: route?.label ?? "other", status: status), default: Total()].requests += 1
            totals[Key(route: route?.label ?? "other", status: status)]?.time += time
        }
    }

    var all: [(key: Key, total: Total)] {
        totals.withLock { totals in
            totals.map { (key: $0.key, total: $0.value) }
                .sorted { ($0.key.route, $0.key.status) < ($1.key.route, $1.key.status) }
        }
    }
}
