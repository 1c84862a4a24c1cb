import CoordinationAPI
import Identity
import Mesh

/// One node's stream of its map: what to write next, and when.
///
/// What happens while a line is being written waits here and is merged, so that a slow node is sent fewer and bigger
/// events, and holds up nobody.
struct MapEvents: Sendable {
    let memory: Memory
    let ticket: MapStreams.Ticket
    /// When the certificate that the stream was opened with ends; so does the stream.
    let expires: Timestamp
    let heartbeat: Duration
    let leases: Leases
    let now: @Sendable () -> Timestamp

    /// The next line: at once where there is news, at the heartbeat otherwise; nil at the end.
    func next() async throws -> [UInt8]? {
        let deadline = ContinuousClock.now + heartbeat
        while true {
            let seen = ticket.bell.rings
            guard now() < expires, !Task.isCancelled else { return nil }
            switch step(isDue: ContinuousClock.now >= deadline) {
            case .event(let event): return try JSON.encode(event) + [UInt8(ascii: "\n")]
            case .ended: return nil
            case .nothing: _ = await ticket.bell.wait(after: seen, until: deadline)
            }
        }
    }

    func close() {
        memory.change { $0.streams.close(ticket) }
        ticket.bell.ring()
    }

    private enum Step {
        case event(MapEvent)
        case nothing
        case ended
    }

    private func step(isDue: Bool) -> Step {
        memory.change { state in
            guard let look = state.streams.look(ticket) else { return .ended }
            guard isDue || look.hasNews(checkpoint: state.checkpoint.envelope) else { return .nothing }
            guard
                let next = state.streams.take(
                    ticket, version: state.index.version, checkpoint: state.checkpoint.envelope)
            else { return .ended }
            return .event(event(next, state))
        }
    }

    private func event(_ next: MapStreams.Next, _ state: Memory.State) -> MapEvent {
        let content: MapContent =
            if let from = next.from {
                next.items.isEmpty
                    ? .unchanged : .changes(state.index.changes(of: next.items, for: ticket.node, from: from))
            } else {
                .whole(state.index.map(for: ticket.node))
            }
        let issued = now()
        return MapEvent(
            version: state.index.version, issuedAt: issued,
            validUntil: min(issued + leases.map, state.checkpoint.checkpoint.notAfter),
            checkpoint: next.isNewCheckpoint ? state.checkpoint.envelope : nil, content: content,
            sessionLeaseSeconds: leases.sessionSeconds)
    }
}
