import Datapath
package import Mesh
package import WireGuard

/// At which of its endpoints each peer is tried.
///
/// A peer names several, in its own order. The first to be tried is the best of them for this machine; one from which
/// nothing comes for 5 s of sending, after which WireGuard itself makes its next try, gives way to the next one, round
/// and round. Once something has come, what the peer's own packets teach WireGuard counts, for it may roam; a
/// peer that then falls silent for 15 s of sending is looked for anew, first where it last was. Where it answered one
/// device, the others look first: a session that begins does not try in vain what another has tried.
package struct EndpointChoice: Sendable {
    /// A peer of one device: each device has a socket of its own, and so its own way to the peer.
    package struct Peer: Hashable, Sendable {
        package let device: DeviceName
        package let key: WireGuardPublicKey

        package init(device: DeviceName, key: WireGuardPublicKey) { (self.device, self.key) = (device, key) }
    }

    /// What WireGuard says of a peer. Only what was authenticated counts as received.
    struct Report: Equatable, Sendable {
        var endpoint: Endpoint?
        var sentBytes: UInt64
        var receivedBytes: UInt64
    }

    private struct Progress: Sendable {
        var last: Report
        /// Nothing was sent before this moment that is still unanswered.
        var since: BootTime
        /// Where the peer is; nil while it is looked for.
        var settled: Endpoint?
        /// How many endpoints were given up in looking for it.
        var turn = 0
        /// Where it last was.
        var answered: Endpoint?
    }

    /// How long an endpoint has, from the first packet that is sent to it.
    static let patience = Duration.seconds(5)
    /// When WireGuard itself gives up a peer that is silent (its whitepaper, §6.5: 10 s and 5 s).
    static let silence = Duration.seconds(15)

    private(set) var underlay: Underlay
    private var peers: [Peer: Progress] = [:]
    /// Where each peer last answered, whichever device.
    private var places: [WireGuardPublicKey: Endpoint] = [:]

    package init() { underlay = Underlay(addresses: []) }
    init(underlay: Underlay) { self.underlay = underlay }

    /// The endpoint that WireGuard should have for a peer that offers these; nil when there is none.
    package func endpoint(of peer: Peer, offering offered: [Endpoint]) -> Endpoint? {
        let progress = peers[peer]
        if let settled = progress?.settled { return settled }
        let candidates = underlay.candidates(among: offered, answered: progress?.answered ?? places[peer.key])
        return candidates.isEmpty ? nil : candidates[(progress?.turn ?? 0) % candidates.count]
    }

    /// Takes up what WireGuard says of a peer, every few seconds.
    mutating func hear(of peer: Peer, _ report: Report, at now: BootTime) {
        guard var progress = peers[peer] else {
            let settled = report.receivedBytes > 0 ? report.endpoint : nil
            peers[peer] = Progress(last: report, since: now, settled: settled)
            if let settled { places[peer.key] = settled }
            return
        }
        // A device that was made anew counts from zero.
        let isNew = report.sentBytes < progress.last.sentBytes || report.receivedBytes < progress.last.receivedBytes
        let before = isNew ? Report(endpoint: nil, sentBytes: 0, receivedBytes: 0) : progress.last
        progress.last = report
        if let endpoint = report.endpoint, report.receivedBytes > before.receivedBytes {
            (progress.settled, progress.answered, places[peer.key]) = (endpoint, endpoint, endpoint)
            (progress.turn, progress.since) = (0, now)
        } else if report.sentBytes <= before.sentBytes {
            progress.since = now
        } else if now - progress.since >= (progress.settled == nil ? Self.patience : Self.silence) {
            progress.turn = progress.settled == nil ? progress.turn + 1 : 0
            (progress.settled, progress.since) = (nil, now)
        }
        peers[peer] = progress
    }

    /// This machine's networks are others from now on: who is looked for is tried anew, best first.
    mutating func move(to underlay: Underlay, at now: BootTime) {
        guard underlay != self.underlay else { return }
        self.underlay = underlay
        peers = peers.mapValues { progress in
            var progress = progress
            (progress.turn, progress.since) = (0, now)
            return progress
        }
    }

    /// Forgets all but these peers, and where those were that the mesh does not know.
    mutating func keep(_ kept: Set<Peer>, known: Set<WireGuardPublicKey>) {
        peers = peers.filter { kept.contains($0.key) }
        places = places.filter { known.contains($0.key) }
    }
}

extension Underlay {
    /// Those of a peer's endpoints that may work from here, best first: where it last was, then in a network that we are
    /// in ourselves, then in its own order.
    ///
    /// An address of our own is not the peer's: container bridges have the same everywhere. Where nothing is left, the
    /// peer's first is better than none.
    func candidates(among offered: [Endpoint], answered: Endpoint?) -> [Endpoint] {
        let own = Set(addresses.map(\.address))
        let families = Set(addresses.map { Family($0.address) })
        let possible = offered.filter { endpoint in
            !own.contains(endpoint.address) && (families.isEmpty || families.contains(Family(endpoint.address)))
        }
        guard !possible.isEmpty else { return Array(offered.prefix(1)) }
        func rank(_ endpoint: Endpoint) -> Int {
            if endpoint == answered { return 0 }
            return isNeighbour(endpoint.address) ? 1 : 2
        }
        return possible.enumerated().sorted { (rank($0.element), $0.offset) < (rank($1.element), $1.offset) }
            .map(\.element)
    }

    private enum Family: Hashable {
        case v4, v6

        init(_ address: IPAddress) {
            if case .v4 = address { self = .v4 } else { self = .v6 }
        }
    }

    /// Whether an address is in a network that we are in ourselves.
    func isNeighbour(_ address: IPAddress) -> Bool {
        let bits = address.bytes.count * 8
        guard let host = IPPrefix(address, length: bits) else { return false }
        return addresses.contains { $0.network.length > 0 && $0.network.length < bits && $0.network.overlaps(host) }
    }
}
