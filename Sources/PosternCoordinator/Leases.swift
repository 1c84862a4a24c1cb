import CoordinationAPI
import Mesh

/// For how long nodes and sessions may go on without hearing from the coordinator. Short ones end sooner what nobody
/// watches any more, and leave less time to bring a coordinator back.
package struct Leases: Equatable, Sendable {
    /// A session that its node does not renew is dead after this.
    package let session: Duration
    /// A node goes so long by a map that the coordinator does not say again.
    package let map: Duration

    /// Shorter than the pause in which nodes look after their sessions, one could not be renewed in time.
    package static let sessionRange = Duration.seconds(10)...SessionLimit.lease
    /// Shorter than a few heartbeats, one would end while the coordinator is there. A checkpoint's life is the longest.
    package static let mapRange = MapEvent.heartbeat * 3...Duration.seconds(24 * 3600)

    package init() { (session, map) = (Self.sessionRange.upperBound, Self.mapRange.upperBound) }

    /// Nil where one of them is out of its range.
    package init?(session: Duration, map: Duration) {
        guard Self.sessionRange.contains(session), Self.mapRange.contains(map) else { return nil }
        (self.session, self.map) = (session, map)
    }

    var sessionSeconds: Int { Int(session.milliseconds / 1000) }
}
