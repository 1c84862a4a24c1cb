import Audit
import Identity
import Logging
import Mesh

/// The coordinator's audit log: one batch after another, each on the disk before the next.
///
/// A log that somebody changed is not written on: nodes keep their records, and whoever asks is told.
package actor AuditArchive {
    /// Nil while it is used, and where it could not be opened.
    private var log: AuditLog?
    private let damage: AuditError?
    private let retention: Duration
    private let logger: Logger

    /// How long records are kept unless an operator says otherwise.
    package static let retention = Duration.seconds(365 * 86_400)
    private static let maximumPage = 10_000

    init(state: StateDirectory, ca: CertificateAuthority, retention: Duration, logger: Logger) {
        (self.retention, self.logger) = (retention, logger)
        do throws(AuditError) {
            let log = try AuditLog(directory: state.audit, mesh: ca.mesh, key: ca.key.privateKey)
            if log.torn > 0 { logger.notice("the end of the audit log, \(log.torn) bytes, was torn, and was cut") }
            (self.log, damage) = (log, nil)
        } catch {
            logger.error("no records are taken: \(error)")
            (log, damage) = (nil, error)
        }
    }

    func receive(_ body: [UInt8], from node: NodeName, now: Timestamp) throws(Refusal) -> AuditReceipt {
        try using { log throws(AuditError) in try log.receive(body, from: node, now: now) }
    }

    func head(since: UInt64?) throws(Refusal) -> AuditHead {
        try using { log throws(AuditError) in
            let moment = since.map { Timestamp(rawValue: Int64(clamping: $0)) }
            return AuditHead(
                first: log.first, last: log.last,
                since: try moment.map { moment throws(AuditError) in try log.firstEntry(since: moment) } ?? log.first)
        }
    }

    func seal(from first: UInt64, now: Timestamp) throws(Refusal) -> [UInt8] {
        try using { log throws(AuditError) in try log.exportSeal(from: first, now: now) + [UInt8(ascii: "\n")] }
    }

    func lines(after number: UInt64, upTo last: UInt64, atMost count: UInt64) throws(Refusal) -> [UInt8] {
        try using { log throws(AuditError) in
            try log.lines(after: number, upTo: last, atMost: min(Int(clamping: count), Self.maximumPage))
        }
    }

    /// How many entries were too old.
    func tend(now: Timestamp) throws(Refusal) -> UInt64 {
        try using { log throws(AuditError) in
            try log.checkpointIfDue(now: now)
            return try log.forget(before: Timestamp(rawValue: now.rawValue - retention.milliseconds))
        }
    }

    private func using<Answer>(
        _ body: (inout AuditLog) throws(AuditError) -> Answer
    ) throws(Refusal) -> Answer {
        do throws(AuditError) {
            guard var opened = log.take() else { throw damage ?? AuditError(.disk, "the audit log is closed") }
            defer { log = opened }
            return try body(&opened)
        } catch {
            switch error.kind {
            case .invalid: throw .invalid(error.reason)
            case .foreign: throw .forbidden(error.reason)
            case .conflict: throw .conflict(error.reason)
            case .disk: throw Refusal(.unwritable, "the coordinator cannot write its audit log: \(error.reason)")
            }
        }
    }
}
