import ArgumentParser
import CoordinationAPI
import Mesh

extension PolicyCommand {
    /// `postern policy log`
    struct Log: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "log", abstract: "List the changes of the mesh's policies, the newest first.",
            discussion: """
                Who made a change is told by its signature, not by the coordinator. A change that no admin of its time \
                signed has nobody's name. The texts are in the JSON.

                Examples:
                  postern policy log
                  postern policy log demo.cedar --json | jq -r '.[0].text'
                """)

        @Argument(help: "Only this document, such as `demo.cedar`.", transform: name)
        var document: PolicyName?

        @Option(help: "How many changes at most.")
        var limit = 20

        @Flag(help: "Print JSON.")
        var json = false

        @OptionGroup var admin: AdminOptions

        func validate() throws {
            guard limit > 0 else { throw ValidationError("--limit is 1 or more") }
        }

        func run() async throws {
            let access = try admin.load()
            let (statements, changes) = try await CoordinatorClient.with(access) { client in
                let changes = try await client.policyHistory(until: { document == nil && $0.count >= limit })
                return (try await client.statements().statements, changes)
            }
            let chain = try AdminChain(shown: statements, of: access.file.mesh, root: access.root)
            let timeline = try PolicyTimeline(changes, chain: chain)
            let entries = Array(timeline.entries.filter { document == nil || $0.policy == document }.prefix(limit))
            Terminal.current.print(json ? try JSON.pretty(entries) : table(entries).text)
        }

        private func table(_ entries: [PolicyTimeline.Entry]) -> Table {
            Table(
                headers: ["VERSION", "MADE", "BY", "POLICY", "CHANGE"],
                rows: entries.map { entry in
                    [
                        "\(entry.version)", "\(entry.madeAt)", entry.by.map(\.description).joined(separator: ", "),
                        "\(entry.policy)", entry.text == nil ? "removed" : "applied",
                    ]
                })
        }
    }

    /// `postern policy rollback`
    struct Rollback: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "rollback", abstract: "Make the policies what they were at an earlier version.",
            discussion: """
                Documents that were changed or removed since come back, and those that were added since are removed, all \
                in one change that you sign: the mesh gets a new version. Agents, services and nodes stay as they are. \
                Nothing is brought back that no admin of its time had signed.

                Examples:
                  postern policy log
                  postern policy rollback 41 --dry-run
                  postern policy rollback 41
                """)

        @Argument(help: "A version that `postern policy log` shows, or any of the mesh.")
        var version: UInt64

        @OptionGroup var preview: PreviewOptions

        @OptionGroup var admin: AdminOptions

        func run() async throws {
            let access = try admin.load()
            let (registry, statements, changes) = try await CoordinatorClient.with(access) { client in
                (
                    try await client.registry(), try await client.statements().statements,
                    try await client.policyHistory()
                )
            }
            let chain = try AdminChain(shown: statements, of: access.file.mesh, root: access.root)
            let timeline = try PolicyTimeline(changes, chain: chain)
            let rollback = try PolicyRollback(to: version, in: timeline, from: registry, chain: chain)
            for person in rollback.formerSigners {
                Terminal.current.complain("part of this was signed by `\(person)`, who is no admin any more")
            }
            if preview.dryRun {
                try registry.check(rollback.restored)
                return try preview.show(try PolicyPreview(registry, of: rollback.apply))
            }
            guard !rollback.statements.isEmpty else {
                return Terminal.current.print("the policies are as they were at version \(version): nothing is changed")
            }
            let parts =
                rollback.restored.map { "`\($0.name)` is restored" } + rollback.removed.map { "`\($0)` is removed" }
            try await change(
                rollback.statements, as: admin,
                done: "the policies are those of version \(version): " + parts.joined(separator: ", "))
        }
    }
}
