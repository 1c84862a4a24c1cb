import ArgumentParser
import CoordinationAPI
import Mesh

/// `postern agent`
struct AgentCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agent", abstract: "Make an agent, or remove it.", subcommands: [Create.self, Delete.self])

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "create", abstract: "Make an agent, or replace what is known of it.",
            discussion: """
                An agent may be launched on the nodes that are named, and on no other; there by root, and by the \
                users whose uids are named. What it may reach is for \
                policies to say.

                Example:
                  postern agent create writer --owner ana --group finance --node node-a
                  postern agent create browser --owner ana --node node-a --path /opt/chromium --allow-userns
                """)

        @Argument(help: "The agent's name; `crew/writer` stands below `crew`.", transform: name)
        var agent: AgentName

        @Option(help: ArgumentHelp("The person who answers for it.", valueName: "person"), transform: name)
        var owner: UserName

        @Option(help: ArgumentHelp("A group that it is in. May be given again.", valueName: "group"), transform: name)
        var group: [GroupName] = []

        @Option(
            help: ArgumentHelp("A node that may launch it. May be given again.", valueName: "node"), transform: name)
        var node: [NodeName] = []

        @Option(
            help: ArgumentHelp("A user who may launch it there, beside root. May be given again.", valueName: "uid"))
        var uid: [UInt32] = []

        @Option(
            help: ArgumentHelp(
                "A path of the node that its sessions may read, beside `/usr` and `/etc`. May be given again.",
                valueName: "path"))
        var path: [String] = []

        @Option(
            help: ArgumentHelp("A device of the node that they find in `/dev`. May be given again.", valueName: "path"))
        var device: [String] = []

        @Flag(
            name: .customLong("allow-userns"),
            help: "Its programs may make user namespaces, as browsers do for enclosures of their own.")
        var userNamespaces = false

        @OptionGroup var admin: AdminOptions

        private var provisions: Provisions {
            Provisions(paths: Set(path), devices: Set(device), userNamespaces: userNamespaces)
        }

        func validate() throws { if let problem = provisions.problem { throw ValidationError(problem) } }

        func run() async throws {
            let definition = AgentDefinition(
                name: agent, owner: owner, groups: Set(group), nodes: Set(node), users: Set(uid),
                provisions: provisions)
            try await change([.agent(definition)], as: admin, done: "agent `\(agent)` is defined")
            if node.isEmpty { Terminal.current.complain("no node may launch it yet: name one by --node") }
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "delete", abstract: "Remove an agent; its sessions end.")

        @Argument(help: "The agent's name.", transform: name)
        var agent: AgentName

        @OptionGroup var admin: AdminOptions

        func run() async throws {
            try await change([.removal(.agent(agent))], as: admin, done: "agent `\(agent)` is removed")
        }
    }
}
