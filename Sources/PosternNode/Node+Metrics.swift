import Audit
import Datapath
import Identity
import Mesh
import Telemetry
import WireGuard

extension Node {
    /// What Prometheus is told of this node: how it stands, and what passed. Nothing here names an agent or a service.
    func metrics() -> [MetricFamily] {
        let figures = trail.figures
        return [
            MetricFamily(
                "postern_node_up", .gauge, "1, or 0 where a person took the mesh down here.", isDown ? 0.0 : 1.0),
            MetricFamily(
                "postern_coordinator_up", .gauge, "Whether the coordinator answers.",
                coordinatorError == nil ? 1.0 : 0.0),
            MetricFamily("postern_map_version", .gauge, "The version of the map that is believed.", map?.version),
            MetricFamily(
                "postern_map_applied_version", .gauge,
                "The version that stands in the kernel; 0 where none is sure to.",
                appliedVersion),
            MetricFamily(
                "postern_map_expiry_timestamp_seconds", .gauge, "Until when the map lets anything pass.",
                map?.validUntil),
            MetricFamily(
                "postern_certificate_expiry_timestamp_seconds", .gauge, "Until when the node's certificate is good.",
                certificateEnd),
            MetricFamily("postern_peers", .gauge, "Peers of this node's own device.", peerCount),
            MetricFamily("postern_sessions", .gauge, "Sessions that run on this node.", UInt64(sessions.count)),
            MetricFamily(
                "postern_problems", .gauge, "What is not as it should be: `postern status` says it in words.",
                UInt64(standingProblems.count + problems.count + drift.count + leftOut.count)),
            MetricFamily(
                "postern_events_suppressed_total", .counter, "Packets that were judged and not told of: too many.",
                suppressedEvents),
            MetricFamily(
                "postern_audit_records_total", .counter, "Records for the audit log that were made.", figures.recorded),
            MetricFamily(
                "postern_audit_records_dropped_total", .counter, "Records that the disk had no room for.",
                figures.dropped),
            MetricFamily(
                "postern_audit_records_waiting", .gauge, "Records that the coordinator has not got yet.",
                figures.undelivered),
            MetricFamily(
                "postern_audit_spool_bytes", .gauge, "Disk that these records take.", UInt64(figures.diskBytes)),
        ] + packetMetrics(counts() ?? [:])
    }

    private func counts() -> PacketRates.Counts? { try? reconciler.packetCounts() }
    private var certificateEnd: Timestamp? { try? EncodedCertificate(pem: membership.certificate).validUntil }
    private var peerCount: UInt64 { UInt64(state(of: local.device)?.peers.count ?? 0) }
}

/// Verdicts of the classifier, the connect hooks and the wall, by where and why.
func packetMetrics(_ counts: PacketRates.Counts) -> [MetricFamily] {
    func samples(_ value: (Count) -> UInt64) -> [MetricFamily.Sample] {
        counts.sorted { $0.key.rawValue < $1.key.rawValue }.flatMap { place, reasons in
            reasons.sorted { $0.key.rawValue < $1.key.rawValue }.map { reason, count in
                let labels = [
                    (name: "place", value: place.label), (name: "reason", value: reason.label),
                    (name: "verdict", value: reason.isAllowed ? "pass" : "drop"),
                ]
                return MetricFamily.Sample(labels, Double(value(count)))
            }
        }
    }
    return [
        MetricFamily("postern_packets_total", .counter, "Packets and calls that were judged.", samples { $0.packets }),
        MetricFamily("postern_packet_bytes_total", .counter, "Bytes of what was judged.", samples { $0.bytes }),
    ]
}

extension MetricFamily {
    fileprivate init(_ name: String, _ kind: Kind, _ help: String, _ value: UInt64?) {
        self.init(name, kind, help, value.map(Double.init))
    }

    fileprivate init(_ name: String, _ kind: Kind, _ help: String, _ moment: Timestamp?) {
        self.init(name, kind, help, moment.map { Double($0.rawValue) / 1000 })
    }
}
