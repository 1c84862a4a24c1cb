import CoordinationAPI
import Glibc
import Mesh

/// A node's status as people read it.
struct StatusView {
    let status: NodeStatus
    let now: Timestamp

    var text: String {
        [summary, devices.text, peers.text, sessions.text, problems].filter { !$0.isEmpty }.joined(separator: "\n")
    }

    /// Packets by direction and reason, most frequent first.
    var packets: String {
        let sorted = status.packets.sorted {
            ($1.packets, $0.direction, $0.reason) < ($0.packets, $1.direction, $1.reason)
        }
        let table = Table(
            headers: ["DIRECTION", "PASSED", "REASON", "PACKETS", "PER SECOND", "BYTES"],
            rows: sorted.map { count in
                [
                    count.direction, count.passed ? "yes" : "no", count.reason, "\(count.packets)",
                    count.packetsPerSecond.map(rate) ?? "", "\(count.bytes)",
                ]
            })
        guard status.suppressedEvents > 0 else { return table.text }
        return table.text + "\n\(status.suppressedEvents) openings and denials were told to nobody: "
            + "their sender had caused too many\n"
    }

    /// One digit behind the point, or `0`.
    private func rate(_ number: Double) -> String {
        guard number.isFinite, number >= 0.05, number < 1e15 else { return "0" }
        let tenths = Int((number * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }

    private var summary: String {
        labelled([
            ("mesh", status.mesh.description + (status.isDown ? ", down here: `postern up` brings it up" : "")),
            ("node", status.node.description), ("address", "\(status.address), \(status.address6)"),
            ("pool", status.pool), ("map", map),
            ("coordinator", status.coordinatorURL + (status.coordinatorError.map { ": \($0)" } ?? "")),
        ])
    }

    private var map: String {
        guard let version = status.mapVersion, let issuedAt = status.mapIssuedAt else {
            return "none yet: nothing is allowed"
        }
        let age = "version \(version), \(Span(now - issuedAt)) old"
        guard let validUntil = status.mapValidUntil else { return age }
        return validUntil > now ? "\(age), valid for \(Span(validUntil - now))" : "\(age), lapsed: nothing is allowed"
    }

    private var devices: Table {
        Table(
            headers: ["DEVICE", "SESSION", "PORT", "CLASSIFIER", "PEERS"],
            rows: status.devices.map { device in
                [
                    device.name, device.session?.description ?? "", "\(device.listenPort)",
                    device.classifierAttached ? "attached" : "MISSING", "\(device.peers.count)",
                ]
            })
    }

    private var peers: Table {
        Table(
            headers: ["PEER", "ADDRESS", "ENDPOINT", "HANDSHAKE", "RECEIVED", "SENT", "DEVICE"],
            rows: status.devices.flatMap { device in
                device.peers.map { peer in
                    [
                        peer.name, peer.address, peer.endpoint ?? "", age(peer.lastHandshake, now: now),
                        byteCount(peer.received), byteCount(peer.sent), device.name,
                    ]
                }
            })
    }

    private var sessions: Table { sessionTable(status.sessions, now: now) }

    private var problems: String { status.problems.map { "problem: \(printable($0))\n" }.joined() }
}

/// `12s ago`, or `never`.
func age(_ moment: Timestamp?, now: Timestamp) -> String { moment.map { "\(Span(now - $0)) ago" } ?? "never" }

/// The sessions of one node.
func sessionTable(_ sessions: [NodeStatus.Session], now: Timestamp) -> Table {
    Table(
        headers: ["SESSION", "AGENT", "FOR", "OWNER", "ADDRESS", "DEVICE", "ENDS IN", "AT MOST", "PID"],
        rows: sessions.map { session in
            [
                session.id.description, session.agent.description, session.person?.description ?? "",
                session.owner.map(userName) ?? "", session.address, session.device,
                session.expires.map { Span($0 - now).description } ?? "",
                session.maximum.map { Span($0 - now).description } ?? "", session.processID.map { "\($0)" } ?? "",
            ]
        })
}

/// Who a local user is, by name where the machine knows one.
private func userName(_ id: UInt32) -> String {
    guard let entry = unsafe getpwuid(id), let name = unsafe entry.pointee.pw_name else { return "\(id)" }
    return unsafe String(cString: name)
}

/// `512 B`, `1.5 KiB`, …
func byteCount(_ count: UInt64) -> String {
    guard count >= 1024 else { return "\(count) B" }
    var (value, unit) = (Double(count) / 1024, 0)
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    while value >= 1023.95, unit < units.count - 1 { (value, unit) = (value / 1024, unit + 1) }
    let tenths = Int((value * 10).rounded())
    return "\(tenths / 10).\(tenths % 10) \(units[unit])"
}
