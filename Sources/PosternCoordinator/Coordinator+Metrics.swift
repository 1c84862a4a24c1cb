import Audit
import CoordinationAPI
import Mesh
import Telemetry

extension Coordinator {
    /// What Prometheus is told of a mesh: how much of what there is, and what was asked. Nothing here names anybody.
    func metrics() async -> [MetricFamily] {
        let known = memory.read { state in
            (
                version: state.index.version, nodes: state.nodes.count, listening: state.streams.count,
                sessions: state.sessions.count, definitions: state.definitions,
                checkpointEnd: state.checkpoint.checkpoint.notAfter
            )
        }
        let behind = confirmations.all.values.filter { $0.version < known.version }.count
        let audit = try? await archive.head(since: nil)
        return [
            gauge("postern_coordinator_version", "The version of the registry and the map.", Double(known.version)),
            gauge("postern_coordinator_nodes", "Nodes of the mesh.", Double(known.nodes)),
            gauge("postern_coordinator_nodes_listening", "Nodes that hear of changes now.", Double(known.listening)),
            gauge(
                "postern_coordinator_nodes_behind",
                "Nodes that last said that an older version stands in their kernel.",
                Double(behind)),
            gauge("postern_coordinator_agents", "Agents that are defined.", Double(known.definitions.agents.count)),
            gauge(
                "postern_coordinator_services", "Services that are defined.", Double(known.definitions.services.count)),
            gauge(
                "postern_coordinator_policies", "Policies that hold.", Double(known.definitions.policies.count)),
            gauge("postern_coordinator_sessions", "Sessions with a lease.", Double(known.sessions)),
            gauge(
                "postern_coordinator_checkpoint_expiry_timestamp_seconds",
                "Until when nodes take the registry's last checkpoint.", Double(known.checkpointEnd.rawValue) / 1000),
            MetricFamily(
                "postern_coordinator_audit_entries_total", .counter, "Entries that the audit log ever had.",
                audit.map { Double($0.last) }),
        ] + requestMetrics()
    }

    private func requestMetrics() -> [MetricFamily] {
        let totals = requests.all
        func samples(_ value: (RequestCounts.Total) -> Double) -> [MetricFamily.Sample] {
            totals.map { key, total in
                .init([(name: "route", value: key.route), (name: "status", value: "\(key.status)")], value(total))
            }
        }
        return [
            MetricFamily(
                "postern_coordinator_requests_total", .counter, "Requests that were answered.",
                samples { Double($0.requests) }),
            MetricFamily(
                "postern_coordinator_request_seconds_total", .counter, "How long answering took, of all together.",
                samples { $0.time / .seconds(1) }),
        ]
    }
}

private func gauge(_ name: String, _ help: String, _ value: Double) -> MetricFamily {
    MetricFamily(name, .gauge, help, value)
}
