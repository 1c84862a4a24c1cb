/// Why a record, a spool or a log of them is not as it should be.
package struct AuditError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Kind: Equatable, Sendable { case invalid, foreign, conflict, disk }
    package let kind: Kind
    package let reason: String
    package var description: String { reason }

    package init(_ kind: Kind, _ reason: String) { (self.kind, self.reason) = (kind, reason) }
    package init(_ reason: String) { self.init(.invalid, reason) }
}
