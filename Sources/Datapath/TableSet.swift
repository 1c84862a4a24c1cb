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

/// What listens: a port of a peer.
package struct ServiceKey: Hashable, Comparable, Sendable {
    package let slot: Slot
    package let port: Port
    package let transport: TransportProtocol

    package init(slot: Slot, port: Port, transport: TransportProtocol) {
        (self.slot, self.port, self.transport) = (slot, port, transport)
    }

    package static func < (left: Self, right: Self) -> Bool {
        (left.slot, left.port, left.transport.rawValue) < (right.slot, right.port, right.transport.rawValue)
    }
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

/// Everything that the classifier's tables say; what is absent is denied.
///
/// `verdicts` never holds `.deny`: write it by removing the key.
package struct TableSet: Equatable, Sendable {
    package var peers: [MeshOffset: PeerEntry]
    package var services: [ServiceKey: ServiceClass]
    package var rows: [Slot: Generation]
    package var verdicts: [VerdictKey: Verdict]

    package init(
        peers: [MeshOffset: PeerEntry] = [:], services: [ServiceKey: ServiceClass] = [:],
        rows: [Slot: Generation] = [:], verdicts: [VerdictKey: Verdict] = [:]
    ) {
        (self.peers, self.services, self.rows) = (peers, services, rows)
        self.verdicts = verdicts.filter { $0.value != .deny }
    }

    package mutating func apply(_ write: TableWrite) {
        switch write {
        case .peer(let offset, let entry): peers[offset] = entry
        case .service(let key, let serviceClass): services[key] = serviceClass
        case .row(let slot, let generation): rows[slot] = generation
        case .verdict(let key, let verdict): verdicts[key] = verdict == .deny ? nil : verdict
        }
    }
}

/// One change to one table; nil zeroes the entry.
package enum TableWrite: Hashable, Sendable {
    case peer(MeshOffset, PeerEntry?)
    case service(ServiceKey, ServiceClass?)
    case row(Slot, Generation?)
    case verdict(VerdictKey, Verdict)
}
