package import Mesh
import Synchronization

/// How much a node may ask for: so many at once, and so many a second in the long run.
package struct TokenBucket: Equatable, Sendable {
    package let capacity: Int
    package let perSecond: Int
    /// In thousandths of one.
    private var level: Int64
    private var at: Timestamp

    package init(capacity: Int, perSecond: Int, now: Timestamp) {
        (self.capacity, self.perSecond, at) = (capacity, perSecond, now)
        level = Int64(capacity) * 1000
    }

    /// Takes one, if there is one. Time that goes backwards gives nothing.
    package mutating func take(now: Timestamp) -> Bool {
        let elapsed = min(max((now - at).milliseconds, 0), 3_600_000)
        level = min(Int64(capacity) * 1000, level + elapsed * Int64(perSecond))
        at = max(at, now)
        guard level >= 1000 else { return false }
        level -= 1000
        return true
    }

    package var isFull: Bool { level == Int64(capacity) * 1000 }
}

/// One bucket for each node.
final class RateLimit: Sendable {
    private let buckets = Mutex<[NodeName: TokenBucket]>([:])

    private static let capacity = 500
    private static let perSecond = 50

    func check(_ node: NodeName, now: Timestamp) throws(Refusal) {
        let isAllowed = buckets.withLock { buckets in
            var bucket =
                buckets[node] ?? TokenBucket(capacity: Self.capacity, perSecond: Self.perSecond, now: now)
            defer { buckets[node] = bucket }
            return bucket.take(now: now)
        }
        guard isAllowed else {
            throw Refusal(
                .busy,
                "node `\(node)` asks for sessions faster than \(Self.perSecond) a second: try again in a second")
        }
    }
}
