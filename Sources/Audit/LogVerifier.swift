package import Crypto
package import Mesh

/// Goes through a log, or an exported part of it, line by line, and says where it is not as the coordinator wrote it.
///
/// It needs nothing but the public key of the mesh's CA.
package struct LogVerifier: Sendable {
    /// What stands where the log is not to be believed.
    package struct Break: Error, Equatable, Sendable, CustomStringConvertible {
        package enum Kind: String, Equatable, Sendable { case edited, removed, reordered, truncated, unsigned }
        package let kind: Kind
        /// From 1 on; of a file, not of the log.
        package let line: Int
        package let what: String

        package var description: String { "line \(line): \(what)" }
    }

    package struct Report: Equatable, Sendable {
        package var mesh: MeshDomain?
        package var first: UInt64 = 0
        package var last: UInt64 = 0
        package var records = 0
        package var checkpoints = 0
        /// The last entry that a signature vouches for.
        package var vouched: UInt64 = 0
        package var vouchedAt: Timestamp?
        /// What nodes' own chains lack, as sentences; no fault of the log.
        package var gaps: [String] = []
    }

    package enum Form: Sendable {
        /// An exported file: the seal at its head, then all that it speaks of.
        case export
        /// The coordinator's own files, one behind the other.
        case state
    }

    private let key: P256.Signing.PublicKey
    private let form: Form
    private var line = 0
    private var seal: AuditSeal?
    private var expected: UInt64?
    private var chain = AuditHash.none
    private var report = Report()
    private var nodes: [NodeName: (receipt: AuditReceipt, hash: AuditHash)] = [:]
    /// What is missing, and at which line; whether it comes later tells what was done.
    private var missing: (numbers: ClosedRange<UInt64>, line: Int)?

    private static let maximumGaps = 100

    package init(_ form: Form, key: P256.Signing.PublicKey) { (self.form, self.key) = (form, key) }

    /// Takes the next line, without its end.
    package mutating func take(_ text: [UInt8]) throws(Break) {
        line += 1
        if line == 1, form == .export { return try begin(text) }
        guard let entry = LogLine(text) else { throw broken(.edited, "this is no line of an audit log") }
        if let missing { return try look(at: entry, for: missing) }
        if let seal, expected == nil { (expected, chain) = (seal.first, seal.previous) }
        if expected == nil { try beginState(entry) }
        try check(entry)
    }

    /// After the last line.
    package mutating func finish() throws(Break) -> Report {
        if let missing {
            line = missing.line
            throw broken(.removed, "before it, \(entries(missing.numbers)) missing")
        }
        if let seal {
            guard report.last == seal.last, chain == seal.chain else {
                line += 1
                throw broken(
                    .truncated,
                    "the file ends with entry \(report.last), and its seal speaks of \(seal.last): it was cut off")
            }
            (report.vouched, report.vouchedAt) = (seal.last, seal.signedAt)
        } else if form == .export {
            line += 1
            throw broken(.truncated, "the file is empty")
        }
        return report
    }

    // MARK: Beginning

    private mutating func begin(_ text: [UInt8]) throws(Break) {
        guard let seal = AuditSeal(text, signedBy: key), seal.purpose == .export else {
            throw broken(.unsigned, "the file does not begin with a seal that this mesh's coordinator signed")
        }
        self.seal = seal
        report.mesh = seal.mesh
        (report.first, report.last, chain) = (seal.first, seal.first &- 1, seal.previous)
    }

    /// What is left of a log whose beginning was given up starts with a checkpoint about what was before.
    private mutating func beginState(_ entry: LogLine) throws(Break) {
        if entry.number > 1 {
            guard entry.kind == .checkpoint, let seal = AuditSeal(entry.content, signedBy: key),
                seal.last == entry.number - 1
            else {
                throw broken(
                    .removed, "the log begins with entry \(entry.number), and no checkpoint says what was before it")
            }
            chain = seal.chain
        }
        (expected, report.first) = (entry.number, entry.number)
    }

    // MARK: Going on

    private mutating func check(_ entry: LogLine) throws(Break) {
        let number = expected ?? 0
        guard entry.number >= number else {
            throw broken(.reordered, "entry \(entry.number) stands behind entry \(number - 1)")
        }
        guard entry.number == number else {
            missing = (number...(entry.number - 1), line)
            return
        }
        guard AuditHash(of: entry.body, behind: chain) == entry.chain else {
            throw broken(.edited, "entry \(number) does not fit the chain: it was edited, or another one put here")
        }
        if let seal, number > seal.last {
            throw broken(.edited, "entry \(number) is none of those that the file's seal speaks of")
        }
        switch entry.kind {
        case .record: try note(entry)
        case .checkpoint: try checkpoint(entry)
        }
        (expected, chain, report.last) = (number + 1, entry.chain, number)
    }

    private mutating func checkpoint(_ entry: LogLine) throws(Break) {
        guard let seal = AuditSeal(entry.content, signedBy: key), seal.purpose == .checkpoint else {
            throw broken(.unsigned, "checkpoint \(entry.number) was not signed by this mesh's coordinator")
        }
        guard seal.last == entry.number - 1, seal.chain == chain else {
            throw broken(.edited, "checkpoint \(entry.number) is about another log")
        }
        (report.mesh, report.vouched, report.vouchedAt) = (seal.mesh, seal.last, seal.signedAt)
        report.checkpoints += 1
    }

    /// Follows the nodes' own chains too.
    private mutating func note(_ entry: LogLine) throws(Break) {
        guard let record = try? AuditRecord(parsing: entry.content) else {
            throw broken(.edited, "entry \(entry.number) holds no record")
        }
        report.records += 1
        if let known = nodes[record.node], report.gaps.count < Self.maximumGaps {
            let (spool, sequence) = (known.receipt.spool, known.receipt.sequence)
            if record.spool != spool {
                report.gaps.append("node `\(record.node)` began another chain at entry \(entry.number)")
            } else if record.sequence != sequence &+ 1 {
                report.gaps.append(
                    "of node `\(record.node)`, what is between its records \(sequence) and \(record.sequence) never "
                        + "came (before entry \(entry.number))")
            } else if record.previous != known.hash {
                report.gaps.append("node `\(record.node)` changed its own chain before entry \(entry.number)")
            }
        }
        nodes[record.node] = (
            AuditReceipt(spool: record.spool, sequence: record.sequence), AuditHash(of: entry.content)
        )
    }

    /// After a gap only this matters: does what is missing come later?
    private mutating func look(
        at entry: LogLine, for missing: (numbers: ClosedRange<UInt64>, line: Int)
    ) throws(Break) {
        guard missing.numbers.contains(entry.number) else { return }
        throw broken(
            .reordered, "entry \(entry.number) belongs before line \(missing.line): entries are not in their order")
    }

    private func entries(_ numbers: ClosedRange<UInt64>) -> String {
        numbers.count == 1
            ? "entry \(numbers.lowerBound) is" : "entries \(numbers.lowerBound) to \(numbers.upperBound) are"
    }

    private func broken(_ kind: Break.Kind, _ what: String) -> Break { Break(kind: kind, line: line, what: what) }
}
