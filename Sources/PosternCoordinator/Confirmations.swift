import CoordinationAPI
import Mesh
import Synchronization

/// Which version of the map each node said it applied, and when. Kept in memory: nodes say it each second.
final class Confirmations: Sendable {
    struct Report: Sendable {
        let version: UInt64
        let at: Timestamp
    }

    private let reports = Mutex<[NodeName: Report]>([:])
    private let bell = Bell()

    func record(_ version: UInt64, by node: NodeName, at now: Timestamp) {
        let news = reports.withLock { reports in
            defer { reports[node] = Report(version: version, at: now) }
            return reports[node]?.version != version
        }
        if news { bell.ring() }
    }

    var all: [NodeName: Report] { reports.withLock { $0 } }

    /// Which of `nodes` applied `version`: at once when all did, at the deadline otherwise.
    func wait(
        for version: UInt64, of nodes: [NodeName], until deadline: ContinuousClock.Instant
    ) async -> ConfirmationResponse {
        while true {
            let seen = bell.rings
            let answer = confirmed(version, of: nodes)
            guard !answer.missing.isEmpty, await bell.wait(after: seen, until: deadline) else { return answer }
        }
    }

    private func confirmed(_ version: UInt64, of nodes: [NodeName]) -> ConfirmationResponse {
        let reports = all
        let wanted = Set(nodes).sorted()
        return ConfirmationResponse(
            confirmed: wanted.filter { (reports[$0]?.version ?? 0) >= version },
            missing: wanted.filter { (reports[$0]?.version ?? 0) < version })
    }
}
