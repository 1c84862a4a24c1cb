package import CoordinationAPI
import GRDB

extension Store {
    private static let historyChanges = 500
    private static let historyBytes = 8 << 20

    /// What admins said of policies, the newest first: as many changes as make one answer.
    ///
    /// - Parameter number: only changes older than this one.
    package func policyHistory(before number: Int64?) async throws -> PolicyHistory {
        try await database.read { db in
            // By number alone, or SQLite sorts all the texts before it gives the first.
            let sql = """
                SELECT number, version, envelope FROM changes NOT INDEXED
                WHERE subject >= 'policy/' AND subject < 'policy0' AND envelope IS NOT NULL AND number < ?
                ORDER BY number DESC
                """
            let rows = try Row.fetchCursor(db, sql: sql, arguments: [number ?? .max])
            var (changes, bytes, oldest) = ([PolicyHistory.Change](), 0, Int64.max)
            while let row = try rows.next() {
                let text: String = row["envelope"]
                let isFull = changes.count == Self.historyChanges || bytes + text.utf8.count > Self.historyBytes
                guard changes.isEmpty || !isFull else { return PolicyHistory(changes: changes, next: oldest) }
                changes.append(
                    .init(
                        version: UInt64(clamping: row["version"] as Int64),
                        envelope: try decode(Envelope.self, text)))
                (bytes, oldest) = (bytes + text.utf8.count, row["number"])
            }
            return PolicyHistory(changes: changes, next: nil)
        }
    }
}
