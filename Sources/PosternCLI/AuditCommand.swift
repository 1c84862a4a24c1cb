import ArgumentParser
import Audit
import CoordinationAPI
import Mesh

/// `postern audit`
struct AuditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "Read what happened in the mesh, and verify that nobody changed it.",
        subcommands: [Tail.self, Export.self, Verify.self])

    struct Tail: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "tail", abstract: "Show the newest records.",
            discussion: """
                Examples:
                  postern audit tail --since 1h --agent writer
                  postern audit tail --follow --json
                """)

        @Flag(help: "Go on with what comes, until interrupted.")
        var follow = false

        @Option(help: ArgumentHelp("Show what was received in that time, such as 1h.", valueName: "span"))
        var since: Span?

        @Option(help: ArgumentHelp("How many entries to look back at, where no --since is given.", valueName: "number"))
        var lines: UInt64 = 20

        @Option(help: ArgumentHelp("Show what this agent did alone.", valueName: "agent"), transform: name)
        var agent: AgentName?

        @Flag(help: "Print the records as JSON, one a line.")
        var json = false

        @OptionGroup var admin: AdminOptions

        func run() async throws {
            let access = try admin.load()
            try await CoordinatorClient.with(access) { client in
                var at = try await start(client)
                while true {
                    let page = try await client.auditLines(after: at)
                    for entry in page {
                        at = entry.number
                        if let record = entry.record, agent == nil || record.event.agent == agent { show(record) }
                    }
                    guard page.isEmpty else { continue }
                    guard follow else { return }
                    try await Task.sleep(for: .seconds(1))
                }
            }
        }

        /// The entry after which reading begins.
        private func start(_ client: CoordinatorClient) async throws -> UInt64 {
            if let since { return try await client.auditHead(since: wallClock().before(since)).since - 1 }
            let head = try await client.auditHead()
            return max(head.first - 1, head.last - min(head.last, lines))
        }

        private func show(_ record: AuditRecord) {
            let text = json ? String(decoding: record.text, as: UTF8.self) : printable(RecordView(record).line)
            Terminal.current.print(text + "\n")
        }
    }

    struct Export: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "export", abstract: "Write the audit log to standard output.",
            discussion: """
                `jsonl` is the log as it is, behind a seal that the coordinator signs at this moment: what \
                `postern audit verify` verifies. `ocsf` is for other tools (Open Cybersecurity Schema Framework 1.3), \
                and has neither chain nor seal.

                Example:
                  postern audit export --since 7d >audit.jsonl
                """)

        enum Format: String, CaseIterable, ExpressibleByArgument { case jsonl, ocsf }

        @Option(help: "The form of a line: `jsonl` or `ocsf`.")
        var format = Format.jsonl

        @Option(help: ArgumentHelp("Only what was received in that time, such as 7d.", valueName: "span"))
        var since: Span?

        @OptionGroup var admin: AdminOptions

        func run() async throws {
            let access = try admin.load()
            try await CoordinatorClient.with(access) { client in
                let from = since.map(wallClock().before)
                let first = try await client.auditHead(since: from).since
                let (seal, last) = try await client.auditSeal(from: first)
                if format == .jsonl { Terminal.current.print(seal) }
                var at = first - 1
                while at < last {
                    let page = try await client.auditLines(after: at, upTo: last)
                    guard let end = page.last?.number else {
                        throw CommandFailure("the coordinator does not give the entries after \(at)")
                    }
                    Terminal.current.print(page.compactMap(text).joined())
                    at = end
                }
            }
        }

        private func text(_ entry: LogEntry) -> String? {
            switch format {
            case .jsonl: String(decoding: entry.line, as: UTF8.self) + "\n"
            case .ocsf:
                entry.record.flatMap { try? JSON.encode(OCSFEvent($0)) }.map {
                    String(decoding: $0, as: UTF8.self) + "\n"
                }
            }
        }
    }
}

/// A record as people read it, in one line.
struct RecordView {
    let record: AuditRecord
    init(_ record: AuditRecord) { self.record = record }

    var line: String {
        let event = record.event
        var words = ["\(event.time)", record.node.rawValue, event.kind.rawValue]
        if let agent = event.agent { words.append("agent `\(agent)`") }
        if let owner = event.person ?? event.owner { words.append("of `\(owner)`") }
        if let service = event.service { words.append("to `\(service)`") }
        if let target = event.target { words.append("(\(target))") }
        if let count = event.count { words.append("\(count)") }
        if let place = event.place { words.append(place) }
        if let policies = event.policies, !policies.isEmpty { words.append("by " + policies.joined(separator: ", ")) }
        return words.joined(separator: " ") + (event.reason.map { ": \($0)" } ?? "")
    }
}

extension Timestamp {
    fileprivate func before(_ span: Span) -> Timestamp { self + .seconds(-span.seconds) }
}
