import CoordinationAPI
import Datapath
import Identity
import Logging
import Mesh

/// Keeps the node's map up to date: asks, checks, applies, keeps, and asks again.
///
/// The coordinator holds a question for a second while nothing has changed, so a change arrives at once and an
/// idle node asks once a second.
package struct MapStream: Sendable {
    private let node: Node

    package init(node: Node) { self.node = node }

    /// Runs until the task is cancelled. A coordinator that does not answer is asked again after a second or more.
    package func run() async {
        var pause = Duration.seconds(1)
        while !Task.isCancelled {
            if await node.refreshed() {
                pause = .seconds(1)
            } else {
                // Half the nodes of a mesh must not come back in the same instant.
                try? await Task.sleep(for: pause * Double.random(in: 0.5...1.5))
                pause = min(pause * 2, .seconds(15))
            }
        }
    }
}

extension Node {
    /// Asks once; false when there was no answer that could be used.
    func refreshed() async -> Bool {
        do {
            try await refresh()
            if coordinatorError != nil { log.info("the coordinator answers again") }
            coordinatorError = nil
            return true
        } catch is CancellationError { return false } catch {
            if coordinatorError == nil { log.warning("\(error)") }
            coordinatorError = "\(error)"
            return false
        }
    }

    /// Asks the coordinator for what is newer, and applies it.
    func refresh() async throws {
        // Read before the question goes out: deadlines may come early by the time that the answer took, never late.
        let boot = BootTime.now()
        let have = map?.version ?? 0
        let response = try await client.map(have: have, applied: appliedVersion)
        let clock = ClockReading(utc: response.issuedAt, boot: boot)
        guard let message = response.map else { return try extend(response, clock: clock) }
        let verified = try await verifier.verify(
            message, issuedAt: response.issuedAt, validUntil: response.validUntil)
        guard message.version >= have else {
            throw NodeError("the coordinator offers map \(message.version), older than \(have): it is refused")
        }
        // Several questions may be under way: an answer that another one has overtaken says nothing.
        guard message.version >= map?.version ?? 0 else { return }
        take(verified, clock: clock)
        try save(response)
    }

    /// The coordinator says that nothing changed: the leases run on, in memory and on the disk.
    private func extend(_ response: MapResponse, clock: ClockReading) throws {
        let validUntil = min(response.validUntil, response.issuedAt + MapVerifier.longestLease)
        guard let map, let saved, saved.version == map.version, validUntil - map.validUntil > Self.extensionStep else {
            return
        }
        self.map?.validUntil = validUntil
        self.clock = clock
        reconcile()
        try save(
            MapResponse(
                version: saved.version, issuedAt: response.issuedAt, validUntil: validUntil, map: saved.map))
    }

    /// Often enough that hardly any of the 24 h is lost, seldom enough that an idle node writes nothing.
    private static let extensionStep = Duration.seconds(300)

    private func save(_ response: MapResponse) throws {
        saved = response
        try state.write(.map, try JSON.encode(response))
    }

    /// Takes the last good map from the disk, for a start without the coordinator.
    ///
    /// The clock on the wall is believed only as far as it is later than what the coordinator last signed.
    func restore(now: Timestamp) async {
        do {
            guard let bytes = try state.read(.map, upTo: BodyLimit.response) else { return }
            let response = try JSON.decode(MapResponse.self, from: bytes)
            guard let message = response.map else { return }
            let verified = try await verifier.verify(
                message, issuedAt: response.issuedAt, validUntil: response.validUntil)
            take(verified, clock: ClockReading(utc: max(now, response.issuedAt), boot: .now()))
            saved = response
        } catch { log.error("the saved map is not used: \(error)") }
    }
}
