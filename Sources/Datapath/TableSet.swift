package import Mesh

/// Who has an address of the pool, and until when.
package struct PeerEntry: Hashable, Sendable {
    package let slot: Slot
    package let generation: Generation
    package let lease: BootTime

    package init(slot: Slot, generation: Generation, lease: BootTime) {
        (self.slot, self.generation, self.lease) = (slot, generation, lease)
    }

    func isSamePeer(as other: PeerEntry) -> Bool { slot == other.slot && generation == other.generation }
}

/// What listens: a port of a peer, or the peer itself, which answers an echo request.
package struct ServiceKey: Hashable, Comparable, Sendable {
    package let slot: Slot
    /// Nil for ICMP, which has none.
    package let port: Port?
    package let transport: TransportProtocol

    package init(slot: Slot, port: Port?, transport: TransportProtocol) {
        (self.slot, self.port, self.transport) = (slot, transport == .icmp ? nil : port, transport)
    }

    /// The peer's answer to echo requests, of both families.
    package static func echo(of slot: Slot) -> ServiceKey { ServiceKey(slot: slot, port: nil, transport: .icmp) }

    package static func < (left: Self, right: Self) -> Bool { left.order < right.order }

    private var order: (Slot, UInt16, UInt8) { (slot, port?.rawValue ?? 0, transport.rawValue) }
}

/// A cell of the verdicts: an initiator and a class of services.
package struct VerdictKey: Hashable, Comparable, Sendable {
    package let slot: Slot
    package let serviceClass: ServiceClass

    package init(slot: Slot, serviceClass: ServiceClass) { (self.slot, self.serviceClass) = (slot, serviceClass) }

    package static func < (left: Self, right: Self) -> Bool {
        (left.slot, left.serviceClass) < (right.slot, right.serviceClass)
    }
}

/// A cell of the verdicts that ends before the leases of its peers do.
package struct TimedGrant: Hashable, Sendable {
    package let until: BootTime
    /// `.allow` or `.sidecarOnly`; with `.deny` it gives nothing.
    package let verdict: Verdict
    /// A number of the caller's own for the policy that ends it, told by events; 0 is none.
    package let policy: UInt32

    package init(until: BootTime, verdict: Verdict, policy: UInt32) {
        (self.until, self.verdict, self.policy) = (until, verdict, policy)
    }
}

/// A network behind a peer: `192.0.2.0/24`.
package struct RoutedPrefix: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let address: IPAddress
    package let length: Int

    /// Nil when the length is not one of the address's, or bits behind it are set.
    package init?(_ address: IPAddress, length: Int) {
        let bytes = address.bytes
        guard (0...bytes.count * 8).contains(length) else { return nil }
        for (place, byte) in bytes.enumerated() {
            let kept = min(8, max(0, length - place * 8))
            guard kept == 8 || byte << kept == 0 else { return nil }
        }
        (self.address, self.length) = (address, length)
    }

    package var description: String { "\(address)/\(length)" }
    package static func < (left: Self, right: Self) -> Bool {
        let (one, other) = (left.address.bytes, right.address.bytes)
        guard one.count == other.count else { return one.count < other.count }
        if one != other { return one.lexicographicallyPrecedes(other) }
        return left.length < right.length
    }
}

/// Everything that the classifier's tables say; what is absent is denied.
///
/// `verdicts` never holds `.deny`: write it by removing the key. A cell that is in `verdicts` is not looked for in
/// `timed`. `routes` are asked for addresses outside the pool only, and name who may speak from there: nobody is
/// reached behind a peer.
package struct TableSet: Equatable, Sendable {
    package var peers: [MeshOffset: PeerEntry]
    package var services: [ServiceKey: ServiceClass]
    package var rows: [Slot: Generation]
    package var verdicts: [VerdictKey: Verdict]
    package var timed: [VerdictKey: TimedGrant]
    package var routes: [RoutedPrefix: PeerEntry]

    package init(
        peers: [MeshOffset: PeerEntry] = [:], services: [ServiceKey: ServiceClass] = [:],
        rows: [Slot: Generation] = [:], verdicts: [VerdictKey: Verdict] = [:], timed: [VerdictKey: TimedGrant] = [:],
        routes: [RoutedPrefix: PeerEntry] = [:]
    ) {
        (self.peers, self.services, self.rows) = (peers, services, rows)
        self.verdicts = verdicts.filter { $0.value != .deny }
        (self.timed, self.routes) = (timed, routes)
    }

    package mutating func apply(_ write: TableWrite) {
        switch write {
        case .peer(let offset, let entry): peers[offset] = entry
        case .service(let key, let serviceClass): services[key] = serviceClass
        case .row(let slot, let generation): rows[slot] = generation
        case .verdict(let key, let verdict): verdicts[key] = verdict == .deny ? nil : verdict
        case .timed(let key, let grant): timed[key] = grant
        case .route(let prefix, let entry): routes[prefix] = entry
        }
    }
}

/// One change to one table; nil zeroes the entry.
package enum TableWrite: Hashable, Sendable {
    case peer(MeshOffset, PeerEntry?)
    case service(ServiceKey, ServiceClass?)
    case row(Slot, Generation?)
    case verdict(VerdictKey, Verdict)
    case timed(VerdictKey, TimedGrant?)
    case route(RoutedPrefix, PeerEntry?)
}
