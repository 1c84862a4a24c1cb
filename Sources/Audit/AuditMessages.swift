/// What travels between node and coordinator: records, a text a line.
package enum AuditBatch {
    /// The longest that is received, in bytes.
    package static let maximumLength = 2 << 20
}

/// How far the log goes, for whoever reads it by pages.
package struct AuditHead: Codable, Equatable, Sendable {
    /// The oldest entry that is kept.
    package let first: UInt64
    package let last: UInt64
    /// The first entry that was received at the moment that was asked for, or later.
    package let since: UInt64

    package init(first: UInt64, last: UInt64, since: UInt64) {
        (self.first, self.last, self.since) = (first, last, since)
    }
}
