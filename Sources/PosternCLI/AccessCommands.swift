import ArgumentParser
import Authorization
import CoordinationAPI
import Mesh

/// `postern who-can`
struct WhoCanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "who-can", abstract: "List the agents that may do something to a service.",
        discussion: """
            Complete, by the policies that the coordinator has now: also those that may at other times only, and what \
            keeps them from it at this one.

            Example:
              postern who-can connect ledger
            """)

    @Argument(help: "What they would do: `connect`.")
    var action: String

    @Argument(help: "The service to which it would be done.", transform: name)
    var service: ServiceName

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var admin: AdminOptions

    func run() async throws {
        guard action == "\(MeshAction.connect)" else {
            throw CommandFailure("`\(action)` is no action here: agents connect to services")
        }
        try await admin.print(json, header: "AGENT", name: \.agent.description) { registry in
            guard registry.services.contains(where: { $0.name == service }) else {
                throw CommandFailure("there is no service `\(service)`; `postern get services` lists them")
            }
            return try AccessReport(registry).accesses(of: registry.agents.map(\.name), to: [service])
        }
    }
}

/// `postern what-can`
struct WhatCanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "what-can", abstract: "List the services that an agent may connect to.",
        discussion: """
            Complete, by the policies that the coordinator has now: also what it may at other times only, and what \
            keeps it from that at this one.

            Example:
              postern what-can writer
            """)

    @Argument(help: "The agent.", transform: name)
    var agent: AgentName

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var admin: AdminOptions

    func run() async throws {
        try await admin.print(json, header: "SERVICE", name: \.service.description) { registry in
            guard registry.agents.contains(where: { $0.name == agent }) else {
                throw CommandFailure("there is no agent `\(agent)`; `postern get agents` lists them")
            }
            return try AccessReport(registry).accesses(of: [agent], to: registry.services.map(\.name))
        }
    }
}

extension AdminOptions {
    fileprivate func print(
        _ json: Bool, header: String, name: (Access) -> String,
        _ list: (Registry) throws -> [Access]
    ) async throws {
        let registry = try await CoordinatorClient.with(try load()) { try await $0.registry() }
        let accesses = try list(registry)
        guard !json else {
            Terminal.current.print(try JSON.pretty(accesses))
            return
        }
        let rows = accesses.map {
            [name($0), $0.allowed ? "yes" : "not now", $0.until.map { "\($0)" } ?? "", $0.because]
        }
        Terminal.current.print(Table(headers: [header, "MAY", "UNTIL", "BECAUSE"], rows: rows).text)
    }
}

/// What an agent may do to a service, now or at another time.
struct Access: Codable, Equatable {
    let agent: AgentName
    let service: ServiceName
    let action: String
    let allowed: Bool
    /// Those that permit it, now or at another time.
    let policies: [PolicyReference]
    /// When it may be otherwise; absent where time changes nothing.
    let until: Timestamp?
    /// What keeps it from being allowed now.
    let reason: String?

    var because: String { reason ?? policies.map(\.description).joined(separator: ", ") }
}

/// Who may what, by the registry's policies at the moment of this machine's clock.
struct AccessReport {
    private let snapshot: PolicySnapshot
    private let now: Timestamp

    init(_ registry: Registry, now: Timestamp = wallClock()) throws(CommandFailure) {
        do {
            snapshot = try PolicySnapshot(
                policies: registry.policies, agents: registry.agents, services: registry.services,
                nodes: registry.nodes.map(\.name))
        } catch { throw CommandFailure("the coordinator's policies cannot be read: \(error)") }
        self.now = now
    }

    /// In the order of names; what no policy permits at any time is left out.
    func accesses(of agents: [AgentName], to services: [ServiceName]) -> [Access] {
        var ends: [Pair: Timestamp] = [:]
        for grant in snapshot.connectGrants(for: agents, services: services, now: now).grants {
            ends[Pair(agent: grant.agent, service: grant.service)] = grant.until
        }
        return agents.sorted().flatMap { agent in
            services.sorted().compactMap { service in
                access(of: agent, to: service, until: ends[Pair(agent: agent, service: service)])
            }
        }
    }

    private struct Pair: Hashable {
        let agent: AgentName
        let service: ServiceName
    }

    private func access(of agent: AgentName, to service: ServiceName, until: Timestamp?) -> Access? {
        func access(_ allowed: Bool, _ policies: [PolicyReference], reason: String? = nil) -> Access {
            Access(
                agent: agent, service: service, action: "\(MeshAction.connect)", allowed: allowed, policies: policies,
                until: until, reason: reason)
        }
        switch snapshot.decide(agent: agent, action: .connect, service: service, now: now).reason {
        case .permitted(let policies): return access(true, policies)
        case .outsideWindow(let policies):
            return access(
                false, policies,
                reason: snapshot.denial(agent: agent, action: .connect, service: service, now: now))
        case .forbidden, .notPermitted, .disabled, .unknownAgent, .unknownService: return nil
        }
    }
}
