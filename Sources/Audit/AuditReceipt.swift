/// How far a node's records have come: what the coordinator answers to a batch of them.
package struct AuditReceipt: Codable, Equatable, Sendable {
    package let spool: UInt64
    package let sequence: UInt64

    package init(spool: UInt64, sequence: UInt64) { (self.spool, self.sequence) = (spool, sequence) }
}
