import ArgumentParser
import Audit
import CoordinationAPI
import Crypto
import Foundation
import Identity
import Mesh

extension AuditCommand {
    struct Verify: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "verify", abstract: "Verify that nobody changed an exported log, or the coordinator's own.",
            discussion: """
                Asks no server. The signatures are checked with the key of the mesh's CA: from --ca, or from the admin \
                file. Exit code 0 means that all is as the coordinator wrote it; 2 that it is not, and where.

                Examples:
                  postern audit verify audit.jsonl
                  postern audit verify --state /var/lib/postern
                """)

        @Argument(help: "What `postern audit export` wrote.")
        var file: String?

        @Option(help: ArgumentHelp("Verify the log in a coordinator's state directory.", valueName: "directory"))
        var state: String?

        @Option(help: ArgumentHelp("The CA certificate of the mesh, in PEM.", valueName: "file"))
        var ca: String?

        @Flag(help: "Print JSON.")
        var json = false

        @OptionGroup var admin: AdminOptions

        func validate() throws {
            guard (file == nil) != (state == nil) else { throw ValidationError("name a file, or --state") }
        }

        func run() async throws {
            let key = try publicKey()
            var verifier = LogVerifier(state == nil ? .export : .state, key: key)
            let outcome: Result<LogVerifier.Report, LogVerifier.Break>
            do {
                for path in try paths() { try LineReader.read(path) { line in try verifier.take(line) } }
                outcome = .success(try verifier.finish())
            } catch let found as LogVerifier.Break { outcome = .failure(found) }
            switch outcome {
            case .success(let report): Terminal.current.print(json ? try JSON.pretty(Verdict(report)) : text(report))
            case .failure(let found):
                if json { Terminal.current.print(try JSON.pretty(Verdict(found))) }
                Terminal.current.complain("\(file ?? state ?? "the log") was changed: \(found)")
                throw ExitStatus.denied
            }
        }

        private func paths() throws -> [String] {
            if let file { return [file] }
            do { return try AuditLog.files(in: (state ?? "") + "/audit") } catch { throw CommandFailure("\(error)") }
        }

        private func publicKey() throws -> P256.Signing.PublicKey {
            let pem: String
            if let path = ca {
                guard let data = try? Data(contentsOf: URL(fileURLWithPath: path)), data.count < 1 << 20 else {
                    throw CommandFailure("cannot read `\(path)`")
                }
                pem = String(decoding: data, as: UTF8.self)
            } else {
                pem = try admin.load().file.ca
            }
            do { return try TrustAnchor(EncodedCertificate(pem: pem)).publicKey } catch {
                throw CommandFailure("the CA certificate cannot be read: \(error)")
            }
        }

        private func text(_ report: LogVerifier.Report) -> String {
            var lines = [
                "entries \(report.first) to \(report.last) are as the coordinator wrote them: \(report.records) records"
            ]
            if report.vouched < report.last {
                lines.append(
                    "the \(report.last - report.vouched) last are chained, and no checkpoint vouches for them yet")
            }
            return printable((lines + report.gaps).joined(separator: "\n"))
        }
    }
}

/// What `verify --json` prints.
struct Verdict: Encodable {
    var valid: Bool
    var first: UInt64?
    var last: UInt64?
    var records: Int?
    var vouched: UInt64?
    var gaps: [String]?
    var line: Int?
    var kind: String?
    var reason: String?

    init(_ report: LogVerifier.Report) {
        valid = true
        (first, last, records) = (report.first, report.last, report.records)
        (vouched, gaps) = (report.vouched, report.gaps)
    }

    init(_ found: LogVerifier.Break) {
        valid = false
        (line, kind, reason) = (found.line, found.kind.rawValue, found.what)
    }
}

/// Reads a file line by line, in bounded memory, however long it is.
enum LineReader {
    static func read(_ path: String, _ take: ([UInt8]) throws -> Void) throws {
        guard let file = FileHandle(forReadingAtPath: path) else { throw CommandFailure("cannot read `\(path)`") }
        defer { try? file.close() }
        var rest: [UInt8] = []
        while let chunk = try file.read(upToCount: 1 << 20), !chunk.isEmpty {
            var lines = (rest + chunk).split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            rest = Array(lines.removeLast())
            // Longer than any line: it is cut here, and what is cut is no line of ours.
            if rest.count > 1 << 20 {
                lines.append(rest[...])
                rest = []
            }
            for line in lines { try take(Array(line)) }
        }
        if !rest.isEmpty { try take(rest) }
    }
}
