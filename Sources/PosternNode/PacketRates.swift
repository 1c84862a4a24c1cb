import CoordinationAPI
import Datapath
import Mesh

/// What passes and what is dropped in a second: the counts of this moment beside those of some seconds ago.
struct PacketRates: Sendable {
    typealias Counts = [Place: [Reason: Count]]

    private struct Sample {
        let time: BootTime
        let counts: Counts
    }

    /// Less time than this says little.
    private static let shortest = Duration.seconds(1)

    private var latest: Sample?
    private var before: Sample?

    /// Remembers the counts, to compare later ones with.
    mutating func take(_ counts: Counts, at now: BootTime) {
        if let latest, now - latest.time < Self.shortest { return }
        (before, latest) = (latest, Sample(time: now, counts: counts))
    }

    /// The counts in words, with what they rose by in a second; most frequent reasons are for the reader to sort.
    func report(_ counts: Counts, at now: BootTime) -> [NodeStatus.PacketCount] {
        counts.sorted { $0.key.rawValue < $1.key.rawValue }.flatMap { place, reasons in
            reasons.sorted { $0.key.rawValue < $1.key.rawValue }.map { reason, count in
                NodeStatus.PacketCount(
                    direction: "\(place)", reason: "\(reason)", passed: reason.isAllowed, packets: count.packets,
                    bytes: count.bytes, packetsPerSecond: rate(place, reason, count, at: now))
            }
        }
    }

    private func rate(_ place: Place, _ reason: Reason, _ count: Count, at now: BootTime) -> Double? {
        guard let sample = [latest, before].compactMap(\.self).first(where: { now - $0.time >= Self.shortest }) else {
            return nil
        }
        let earlier = sample.counts[place]?[reason]?.packets ?? 0
        // Tables that were made anew begin at zero.
        let rise = count.packets >= earlier ? count.packets - earlier : count.packets
        return Double(rise) * 1000 / Double((now - sample.time).milliseconds)
    }
}
