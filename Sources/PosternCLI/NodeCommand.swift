import ArgumentParser
import CoordinationAPI
import Mesh

/// `postern node`
struct NodeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "node", abstract: "List the machines of the mesh, remove one, or exchange this one's key.",
        subcommands: [List.self, Remove.self, Rotate.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "List the machines of the mesh.",
            discussion: "The same as `postern get nodes`.")

        @Flag(help: "Print JSON.")
        var json = false

        @OptionGroup var admin: AdminOptions

        func run() async throws {
            let access = try admin.load()
            let registry = try await CoordinatorClient.with(access) { try await $0.registry() }
            let view = RegistryView(registry: registry, now: wallClock())
            Terminal.current.print(json ? try view.json(.nodes) : view.table(.nodes).text)
        }
    }

    struct Rotate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "rotate", abstract: "Exchange this machine's WireGuard key for a new one.",
            discussion: "Flows go on. Asks posternd of this machine, as root; the coordinator must answer.")

        @OptionGroup var socket: SocketOptions

        func run() async throws {
            let answer = try socket.ask(.rotateKey, within: .seconds(60))
            guard case .rotated(let key) = answer else { throw CommandFailure.wrongAnswer }
            Terminal.current.print("this node's WireGuard key is now \(key)")
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "remove", abstract: "Remove a machine from the mesh, for good.",
            discussion: """
                Its certificate is refused from then on, its sessions end, and nobody speaks to it. Services that \
                answer on it, and agents that only it may launch, remain defined and reach nobody.

                Example:
                  postern node remove node-b
                """)

        @Argument(help: "The node's name.", transform: name)
        var node: NodeName

        @OptionGroup var admin: AdminOptions

        func run() async throws {
            try await change([.removal(.node(node))], as: admin, done: "node `\(node)` is removed")
        }
    }
}
