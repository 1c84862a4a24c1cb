import ArgumentParser
import CoordinationAPI
import Mesh

/// `postern get`
struct GetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get", abstract: "List what the coordinator knows of the mesh.",
        discussion: """
            Examples:
              postern get agents
              postern get policies --json
            """)

    enum Kind: String, CaseIterable, ExpressibleByArgument {
        case agents, services, nodes, policies, sessions
    }

    @Argument(help: "What to list.")
    var kind: Kind

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var admin: AdminOptions

    func run() async throws {
        let access = try admin.load()
        let registry = try await CoordinatorClient.with(access) { try await $0.registry() }
        let view = RegistryView(registry: registry, now: wallClock())
        Terminal.current.print(json ? try view.json(kind) : view.table(kind).text)
    }
}

/// The registry as people, and programs, read it.
struct RegistryView {
    let registry: Registry
    let now: Timestamp

    func json(_ kind: GetCommand.Kind) throws(MessageError) -> String {
        switch kind {
        case .agents: try JSON.pretty(registry.agents)
        case .services: try JSON.pretty(registry.services)
        case .nodes: try JSON.pretty(registry.nodes)
        case .policies: try JSON.pretty(registry.policies)
        case .sessions: try JSON.pretty(registry.sessions)
        }
    }

    func table(_ kind: GetCommand.Kind) -> Table {
        switch kind {
        case .agents: agents
        case .services: services
        case .nodes: nodes
        case .policies: policies
        case .sessions: sessions
        }
    }

    private var agents: Table {
        Table(
            headers: ["NAME", "OWNER", "GROUPS", "NODES", "UIDS", "STATE"],
            rows: registry.agents.map {
                [
                    $0.name.description, $0.owner.description, list($0.groups), list($0.nodes),
                    $0.users.sorted().map(String.init).joined(separator: ","),
                    $0.disabled ? "disabled" : "enabled",
                ]
            })
    }

    private var services: Table {
        Table(
            headers: ["NAME", "NODE", "PROTOCOL", "PORT", "TAGS"],
            rows: registry.services.map {
                [
                    $0.name.description, $0.node.description, $0.protocol.rawValue, $0.port?.description ?? "-",
                    list($0.tags),
                ]
            })
    }

    private var nodes: Table {
        Table(
            headers: ["NAME", "ADDRESS", "ENDPOINT", "APPLIED", "SEEN"],
            rows: registry.nodes.map {
                [
                    $0.name.description, $0.address, $0.endpoints.map(\.description).joined(separator: ", "),
                    $0.applied.map { "\($0)" } ?? "",
                    $0.seenAt.map { "\(Span(now - $0)) ago" } ?? "never",
                ]
            })
    }

    private var policies: Table {
        Table(
            headers: ["NAME", "LINES"],
            rows: registry.policies.map {
                [$0.name.description, "\($0.text.split(separator: "\n", omittingEmptySubsequences: false).count)"]
            })
    }

    private var sessions: Table {
        Table(
            headers: ["SESSION", "AGENT", "FOR", "NODE", "ADDRESS", "ENDS IN"],
            rows: registry.sessions.map {
                [
                    $0.id.description, $0.agent.description, $0.person?.description ?? "", $0.node.description,
                    $0.address,
                    Span($0.expires - now).description,
                ]
            })
    }

    private func list<Name: MeshName>(_ names: Set<Name>) -> String {
        names.sorted().map(\.description).joined(separator: ",")
    }
}
