import CoordinationAPI
import Mesh
import Testing

@testable import PosternCLI

/// `who-can` and `what-can`.
@Suite struct AccessTests {
    private static let node = NodeName(unchecked: "node-b")

    private func registry(_ policies: String) throws -> Registry {
        func agent(_ name: String, disabled: Bool = false) -> AgentDefinition {
            AgentDefinition(
                name: AgentName(unchecked: name), owner: UserName(unchecked: "ana"), nodes: [Self.node],
                disabled: disabled)
        }
        func service(_ name: String, _ port: UInt16) throws -> ServiceDefinition {
            ServiceDefinition(
                name: ServiceName(unchecked: name), node: Self.node, protocol: .tcp,
                port: try #require(Port(rawValue: port)))
        }
        return Registry(
            mesh: MeshDomain(unchecked: "demo.internal"), version: 3,
            nodes: [.init(name: Self.node, address: "10.64.0.2", endpoints: [], applied: nil, seenAt: nil)],
            agents: [agent("writer"), agent("reader"), agent("gone", disabled: true)],
            services: [try service("vault", 2), try service("ledger", 1)],
            policies: [PolicyDocument(name: PolicyName(unchecked: "p.cedar"), text: policies)], sessions: [])
    }

    private func accesses(_ policies: String) throws -> [String] {
        let registry = try registry(policies)
        // 2027-01-15T08:00:00Z
        return try AccessReport(registry, now: Timestamp(rawValue: 1_800_000_000_000))
            .accesses(of: registry.agents.map(\.name), to: registry.services.map(\.name)).map { access in
                let until = access.until.map { " until \($0)" } ?? ""
                return "\(access.agent) \(access.service) \(access.allowed)\(until): \(access.because)"
            }
    }

    @Test func `who may is listed by name, with what permits it`() throws {
        #expect(
            try accesses(
                """
                @id("all") permit (principal, action, resource == Service::"ledger");
                @id("one") permit (principal == Agent::"writer", action, resource == Service::"vault");
                """) == [
                    "reader ledger true: policy `all` (p.cedar:1:1)", "writer ledger true: policy `all` (p.cedar:1:1)",
                    "writer vault true: policy `one` (p.cedar:2:1)",
                ])
    }

    @Test func `a window that is closed is told, and one that closes`() throws {
        #expect(
            try accesses(
                """
                @id("day") permit (principal == Agent::"writer", action, resource == Service::"ledger")
                when { context.now.toTime() >= duration("9h") && context.now.toTime() < duration("17h") };
                @id("night") permit (principal == Agent::"reader", action, resource == Service::"ledger")
                when { context.now.toTime() < duration("9h") };
                """) == [
                    "reader ledger true until 2027-01-15T09:00:00Z: policy `night` (p.cedar:3:1)",
                    "writer ledger false: outside the time window of policy `day` (p.cedar:1:1), which opens at "
                        + "2027-01-15T09:00:00Z",
                ])
    }

    @Test func `what is forbidden is not listed, nor who is disabled`() throws {
        #expect(
            try accesses(
                """
                permit (principal, action, resource);
                forbid (principal == Agent::"reader", action, resource);
                forbid (principal, action, resource == Service::"vault");
                """) == ["writer ledger true: policy `policy0` (p.cedar:1:1)"])
    }

    @Test func `a change is told by who gains and who loses`() throws {
        let registry = try registry(#"permit (principal == Agent::"writer", action, resource);"#)
        let documents = [
            PolicyDocument(
                name: PolicyName(unchecked: "p.cedar"),
                text: """
                    @id("day") permit (principal == Agent::"writer", action, resource == Service::"ledger")
                    when { context.now.toTime() >= duration("9h") };
                    @id("vault") permit (principal == Agent::"reader", action, resource == Service::"vault");
                    """)
        ]
        let preview = try PolicyPreview(
            registry, of: { $0 = documents }, now: Timestamp(rawValue: 1_800_000_000_000))
        #expect(
            preview.changes.map { "\($0.agent) \($0.service): \($0.before.rawValue), then \($0.after.rawValue)" } == [
                "reader vault: never, then now", "writer ledger: now, then at times", "writer vault: now, then never",
            ])
        #expect(
            preview.text.hasPrefix("--- p.cedar\n+++ p.cedar\n@@ -"))
        #expect(
            preview.text.contains(
                "\n\nAGENT   SERVICE  BEFORE  AFTER     BECAUSE\nreader  vault    never   now       policy `vault`"))
        let same = try PolicyPreview(registry, of: { _ in })
        #expect(same.text == "no agent gains or loses a service now\n")
        #expect(throws: CommandFailure.self) {
            try PolicyPreview(registry, of: { $0[0] = .init(name: $0[0].name, text: "x") })
        }
    }

    @Test func `what the coordinator would refuse is refused beforehand`() throws {
        let registry = try registry("")
        let misspelt = PolicyDocument(
            name: PolicyName(unchecked: "q.cedar"), text: #"forbid (principal == Agent::"wirter", action, resource);"#)
        #expect(throws: CommandFailure.self) { try registry.check([misspelt]) }
    }

    @Test func `policies that cannot be read are an error`() throws {
        let broken = try registry("permit (")
        #expect(throws: CommandFailure.self) { try AccessReport(broken) }
    }
}
