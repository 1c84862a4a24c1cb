/// An entry of the log as it came from the coordinator, for whoever only reads.
package struct LogEntry: Equatable, Sendable {
    package let number: UInt64
    /// Without its end.
    package let line: [UInt8]
    /// Nil for a checkpoint.
    package let record: AuditRecord?

    /// Reads a page of lines.
    package static func page(_ bytes: [UInt8]) throws(AuditError) -> [LogEntry] {
        var entries: [LogEntry] = []
        for line in bytes.split(separator: .newline) {
            guard let entry = LogLine(line) else { throw AuditError("a line of the audit log cannot be read") }
            let record = entry.kind == .record ? try AuditRecord(parsing: entry.content) : nil
            entries.append(LogEntry(number: entry.number, line: Array(line), record: record))
        }
        return entries
    }

    /// The last entry that a seal of an export speaks of. Whether the seal is good, verification tells.
    package static func lastEntry(ofSeal line: [UInt8]) throws(AuditError) -> UInt64 {
        struct Sealed: Decodable { let statement: AuditSeal }
        let sealed: Sealed = try decoded(line)
        return sealed.statement.last
    }
}
