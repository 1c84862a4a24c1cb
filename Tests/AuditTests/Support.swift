import Audit
import Crypto
import Mesh
import Synchronization
import Testing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A directory that goes with the last who holds it.
final class Scratch: Sendable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appending(path: "postern-audit-\(UUID().uuidString)")
            .path(percentEncoded: false)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func files(_ suffix: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: path).filter { $0.hasSuffix(suffix) }.sorted()
            .map { path + "/" + $0 }
    }
}

func readBytes(_ path: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(filePath: path))) }
func writeBytes(_ bytes: [UInt8], _ path: String) throws { try Data(bytes).write(to: URL(filePath: path)) }

let morning = Timestamp(rawValue: 1_700_000_000_000)

func event(_ number: Int, _ kind: AuditEvent.Kind = .flowDenied) throws -> AuditEvent {
    var event = AuditEvent(kind, at: morning + .seconds(number))
    (event.agent, event.owner, event.uid) = (try AgentName("crew/writer"), try UserName("ana"), 1000)
    (event.chain, event.service, event.port) = (["crew", "crew/writer"], try ServiceName("vault"), Port("8080"))
    (event.target, event.transport) = ("10.0.0.\(number):8080", "tcp")
    (event.reason, event.policies) = ("no policy permits it", ["policy `a` (demo.cedar:1:1)"])
    return event
}

func makeSpool(_ scratch: Scratch, node: String = "node-a", limits: AuditSpool.Limits = .init()) throws -> AuditSpool {
    try AuditSpool(directory: scratch.path, node: NodeName(node), limits: limits, now: { morning })
}

/// What a spool would send, all of it, as records; nothing is acknowledged.
func undelivered(_ scratch: Scratch) throws -> [AuditRecord] {
    let spool = try makeSpool(scratch)
    try spool.flush()
    var records: [AuditRecord] = []
    while let batch = try spool.batch() {
        records += try parse(batch.body)
        try spool.acknowledge(batch)
    }
    return records
}

func parse(_ body: [UInt8]) throws -> [AuditRecord] {
    try body.split(separator: UInt8(ascii: "\n")).map { try AuditRecord(parsing: Array($0)) }
}

/// A log of its own, with a key of its own.
struct TestLog {
    let scratch: Scratch
    let key = P256.Signing.PrivateKey()
    var log: AuditLog

    init(limits: AuditLog.Limits = .init()) throws {
        scratch = try Scratch()
        log = try AuditLog(directory: scratch.path, mesh: MeshDomain("acme.example"), key: key, limits: limits)
    }

    mutating func open() throws {
        log = try AuditLog(directory: scratch.path, mesh: MeshDomain("acme.example"), key: key)
    }

    /// Records that follow one another.
    func chain(_ count: Int, node: String = "node-a", spool: UInt64 = 7, after last: AuditRecord? = nil) throws
        -> [AuditRecord]
    {
        var records: [AuditRecord] = []
        var (sequence, previous) = (last?.sequence ?? 0, last.map { AuditHash(of: $0.text) } ?? .none)
        for number in 0..<count {
            sequence += 1
            let record = AuditRecord(
                node: try NodeName(node), spool: spool, sequence: sequence, previous: previous, event: try event(number)
            )
            previous = AuditHash(of: record.text)
            records.append(record)
        }
        return records
    }

    @discardableResult
    mutating func receive(_ records: [AuditRecord], from node: String = "node-a", at now: Timestamp = morning) throws
        -> AuditReceipt
    {
        try log.receive(body(records), from: NodeName(node), now: now)
    }

    mutating func export() throws -> [UInt8] {
        let seal = try log.exportSeal(from: 1, now: morning)
        return seal + [UInt8(ascii: "\n")] + (try log.lines(after: 0, atMost: .max, bytes: .max))
    }

    func verify(_ file: [UInt8], _ form: LogVerifier.Form = .export) -> Result<LogVerifier.Report, LogVerifier.Break> {
        verifyLog(file, form, key: key.publicKey)
    }

    var stored: [UInt8] { get throws { try AuditLog.files(in: scratch.path).flatMap(readBytes) } }
}

func body(_ records: [AuditRecord]) -> [UInt8] { Array(records.map(\.text).joined(separator: [UInt8(ascii: "\n")])) }

func verifyLog(
    _ file: [UInt8], _ form: LogVerifier.Form, key: P256.Signing.PublicKey
) -> Result<LogVerifier.Report, LogVerifier.Break> {
    var verifier = LogVerifier(form, key: key)
    do throws(LogVerifier.Break) {
        for line in file.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).dropLast() {
            try verifier.take(Array(line))
        }
        // A file ends with the end of a line.
        if let rest = file.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).last, !rest.isEmpty {
            try verifier.take(Array(rest))
        }
        return .success(try verifier.finish())
    } catch { return .failure(error) }
}
