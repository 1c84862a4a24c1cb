import GRDB
import Mesh

/// Addresses and peer numbers. A number is never given again; an address only after its quarantine, so that no node
/// that was away still holds the former peer's.
extension Database {
    /// The longest lease (a map's, 24 h), and 24 h more.
    private static let quarantine = Duration.seconds(48 * 3600)

    /// The place that the next peer gets: one that was never given, then the one that has been free the longest.
    func freePlace(now: Timestamp) throws -> MeshOffset? {
        let last = try Int64.fetchOne(self, sql: "SELECT MAX(place) FROM places") ?? 0
        if let next = UInt32(exactly: last + 1).flatMap(MeshOffset.init(rawValue:)) { return next }
        let released = try Int64.fetchOne(
            self, sql: "SELECT place FROM places WHERE released_at <= ? ORDER BY released_at, place LIMIT 1",
            arguments: [(now + (.zero - Self.quarantine)).rawValue])
        return released.flatMap(UInt32.init(exactly:)).flatMap(MeshOffset.init(rawValue:))
    }

    func take(_ place: MeshOffset) throws {
        try execute(
            sql: "INSERT INTO places (place) VALUES (?) ON CONFLICT (place) DO UPDATE SET released_at = NULL",
            arguments: [Int64(place.rawValue)])
    }

    func release(_ place: Int64, now: Timestamp) throws {
        try execute(sql: "UPDATE places SET released_at = ? WHERE place = ?", arguments: [now.rawValue, place])
    }

    func nextPeer() throws -> PeerID {
        guard let number = try Int64.fetchOne(self, sql: "SELECT next_peer FROM mesh"),
            let peer = UInt32(exactly: number).flatMap(PeerID.init(rawValue:))
        else { throw Refusal(.full, "the mesh has given all of its peer numbers") }
        try execute(sql: "UPDATE mesh SET next_peer = next_peer + 1")
        return peer
    }

    /// Leaves out numbers and addresses that were given after a copy of this database was made.
    func leaveGap(now: Timestamp) throws {
        try execute(sql: "UPDATE mesh SET next_peer = min(next_peer + ?, 4294967296)", arguments: [Self.gap])
        let last = try Int64.fetchOne(self, sql: "SELECT MAX(place) FROM places") ?? 0
        let next = min(last + Self.placeGap, Int64(MeshOffset.count) - 2)
        try execute(
            sql: "INSERT OR IGNORE INTO places (place, released_at) VALUES (?, ?)", arguments: [next, now.rawValue])
    }

    private static let gap = 1 << 20
    private static let placeGap: Int64 = 4096

    /// Whose key may be the same: the one that is about to say it again.
    enum Holder {
        case node(NodeName)
        case session(SessionID)
    }

    func isTaken(_ key: WireGuardPublicKey, except holder: Holder? = nil) throws -> Bool {
        let (node, session): (NodeName?, SessionID?) =
            switch holder {
            case .node(let name): (name, nil)
            case .session(let id): (nil, id)
            case nil: (nil, nil)
            }
        return try Bool.fetchOne(
            self,
            sql: """
                SELECT EXISTS (SELECT 1 FROM nodes WHERE key = :key AND name IS NOT :node)
                    OR EXISTS (SELECT 1 FROM sessions WHERE key = :key AND id IS NOT :session)
                """,
            arguments: ["key": key.description, "node": node?.rawValue, "session": session?.rawValue]) ?? true
    }
}
