/// What admins said of policies, as the coordinator kept it: a part, the newest first.
package struct PolicyHistory: Codable, Equatable, Sendable {
    package let changes: [Change]
    /// There are older ones: they are asked for by `?before=` this number.
    package let next: Int64?

    /// One statement about a policy document, and the version of the mesh that it made.
    package struct Change: Codable, Equatable, Sendable {
        package let version: UInt64
        package let envelope: Envelope

        package init(version: UInt64, envelope: Envelope) { (self.version, self.envelope) = (version, envelope) }
    }

    package init(changes: [Change], next: Int64?) { (self.changes, self.next) = (changes, next) }
}
