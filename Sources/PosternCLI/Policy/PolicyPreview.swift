import ArgumentParser
import Authorization
import CoordinationAPI
import Mesh

/// What a change of policies would change: who gains, and who loses.
struct PolicyPreview {
    /// When an agent may reach a service.
    enum Reach: String, Codable {
        case now
        /// Not at this moment.
        case atTimes = "at times"
        case never

        init(_ access: Access?) { self = access.map { $0.allowed ? .now : .atTimes } ?? .never }
    }

    struct Change: Codable, Equatable {
        let agent: AgentName
        let service: ServiceName
        let before: Reach
        let after: Reach
        /// What permits it, or did.
        let because: String
    }

    /// In the order of agents and services.
    let changes: [Change]
    /// The documents as they change, one after the other.
    let documents: String

    /// - Parameter registry: what the coordinator has now.
    init(_ registry: Registry, of change: (inout [PolicyDocument]) -> Void, now: Timestamp = wallClock())
        throws(CommandFailure)
    {
        var next = registry
        change(&next.policies)
        let (agents, services) = (registry.agents.map(\.name), registry.services.map(\.name))
        let before = try AccessReport(registry, now: now).accesses(of: agents, to: services)
        let after = try AccessReport(next, now: now).accesses(of: agents, to: services)
        changes = Self.compare(before, after)
        documents = Self.documents(registry.policies, next.policies)
    }

    private static func documents(_ before: [PolicyDocument], _ after: [PolicyDocument]) -> String {
        let old = Dictionary(before.map { ($0.name, $0.text) }, uniquingKeysWith: { first, _ in first })
        let new = Dictionary(after.map { ($0.name, $0.text) }, uniquingKeysWith: { first, _ in first })
        return Set(old.keys).union(new.keys).sorted()
            .map { TextChanges(in: $0.rawValue, from: old[$0], to: new[$0]).text }.joined()
    }

    private static func compare(_ before: [Access], _ after: [Access]) -> [Change] {
        struct Pair: Hashable {
            let agent: AgentName
            let service: ServiceName
        }
        func byPair(_ accesses: [Access]) -> [Pair: Access] {
            Dictionary(
                accesses.map { (Pair(agent: $0.agent, service: $0.service), $0) },
                uniquingKeysWith: { first, _ in first }
            )
        }
        let (old, new) = (byPair(before), byPair(after))
        return Set(old.keys).union(new.keys).sorted { ($0.agent, $0.service) < ($1.agent, $1.service) }
            .compactMap { pair in
                let (was, will) = (Reach(old[pair]), Reach(new[pair]))
                guard was != will else { return nil }
                return Change(
                    agent: pair.agent, service: pair.service, before: was, after: will,
                    because: (new[pair] ?? old[pair])?.because ?? "")
            }
    }

    var text: String {
        (documents.isEmpty ? "" : printable(documents) + "\n") + reach
    }

    private var reach: String {
        guard !changes.isEmpty else { return "no agent gains or loses a service now\n" }
        return Table(
            headers: ["AGENT", "SERVICE", "BEFORE", "AFTER", "BECAUSE"],
            rows: changes.map {
                ["\($0.agent)", "\($0.service)", $0.before.rawValue, $0.after.rawValue, $0.because]
            }
        ).text
    }
}

/// `--dry-run`
struct PreviewOptions: ParsableArguments {
    @Flag(help: "Change nothing: show the lines that change, and who would gain and who would lose what.")
    var dryRun = false

    @Flag(help: "Print JSON, with --dry-run.")
    var json = false

    func validate() throws {
        if json, !dryRun { throw ValidationError("--json goes with --dry-run") }
    }

    /// Asks what the coordinator has, and prints what the change would change.
    func show(as admin: AdminOptions, of change: (Registry) throws -> PolicyPreview) async throws {
        let registry = try await CoordinatorClient.with(try admin.load()) { try await $0.registry() }
        try show(try change(registry))
    }

    func show(_ preview: PolicyPreview) throws {
        Terminal.current.print(json ? try JSON.pretty(preview.changes) : preview.text)
    }
}

extension Registry {
    /// Refuses what the coordinator would refuse of these documents.
    func check(_ documents: [PolicyDocument]) throws(CommandFailure) {
        do {
            try PolicySnapshot(
                policies: documents, agents: agents, services: services, nodes: nodes.map(\.name),
                people: admins.map(\.name)
            ).check()
        } catch { throw CommandFailure(error.rendering) }
    }
}
