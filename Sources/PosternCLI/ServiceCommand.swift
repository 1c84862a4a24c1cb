import ArgumentParser
import CoordinationAPI
import Mesh

/// `postern service`
struct ServiceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "service", abstract: "Name a service that agents may call, or remove it.",
        subcommands: [Add.self, Delete.self])

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "add", abstract: "Name a service, or replace what is known of it.",
            discussion: """
                The service itself need not change, but listen on its node's mesh address, or on all addresses.

                Examples:
                  postern service add ledger --node node-b --port 8080 --tag prod
                  postern service add resolver --node node-b --protocol udp --port 53
                  postern service add echo-b --node node-b --protocol icmp
                """)

        @Argument(help: "The service's name.", transform: name)
        var service: ServiceName

        @Option(help: ArgumentHelp("The node on which it answers.", valueName: "node"), transform: name)
        var node: NodeName

        @Option(
            help: ArgumentHelp("The port on which it listens; `icmp` has none.", valueName: "port"),
            transform: portNumber)
        var port: Port?

        @Option(
            name: .customLong("protocol"),
            help: ArgumentHelp(
                "How it is spoken to: `tcp`, unless said; `udp`; or `icmp`: the node's answers to echo requests (ping).",
                valueName: "protocol"),
            transform: protocolName)
        var serviceProtocol: ServiceProtocol = .tcp

        @Option(help: ArgumentHelp("A tag that it bears. May be given again.", valueName: "tag"), transform: name)
        var tag: [TagName] = []

        @OptionGroup var admin: AdminOptions

        func validate() throws {
            switch (serviceProtocol, port) {
            case (.icmp, .some): throw ValidationError("`icmp` has no port: leave --port out")
            case (.tcp, nil), (.udp, nil): throw ValidationError("--port is missing: on which port does it listen?")
            default: break
            }
        }

        func run() async throws {
            let definition =
                if let port {
                    ServiceDefinition(
                        name: service, node: node, protocol: serviceProtocol, port: port, tags: Set(tag))
                } else { ServiceDefinition(echoOf: node, name: service, tags: Set(tag)) }
            try await change([.service(definition)], as: admin, done: "service `\(service)` is defined")
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "delete", abstract: "Remove a service; nothing reaches it through the mesh any more.")

        @Argument(help: "The service's name.", transform: name)
        var service: ServiceName

        @OptionGroup var admin: AdminOptions

        func run() async throws {
            try await change([.removal(.service(service))], as: admin, done: "service `\(service)` is removed")
        }
    }
}
