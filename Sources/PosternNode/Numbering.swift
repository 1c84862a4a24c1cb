package import Datapath
package import Mesh

/// Which dense number stands for which peer and which service in the tables of this node.
///
/// Numbers stay as long as what they stand for is there, so that an update touches only what changed. A number that
/// is given again is safe: the peer's own id is its generation, and the tables zero a row before they reuse it.
package struct Numbering: Equatable, Sendable {
    /// What a service is to the classifier: several names for one port are one thing.
    package struct Socket: Hashable, Comparable, Sendable {
        package let peer: PeerID
        package let transport: TransportProtocol
        /// Nil for the peer's answer to echo requests.
        package let port: Port?

        package static func < (left: Self, right: Self) -> Bool { left.order < right.order }

        private var order: (PeerID, UInt8, UInt16) { (peer, transport.rawValue, port?.rawValue ?? 0) }
    }

    package private(set) var slots: [PeerID: Slot] = [:]
    package private(set) var classes: [Socket: ServiceClass] = [:]

    package init() {}

    /// Takes the numbers over that tables already use, so that a restart changes nothing in them.
    ///
    /// Where the tables contradict themselves, whoever shares a number gets a new one.
    package init(adopting tables: TableSet) {
        for entry in tables.peers.values {
            if let peer = PeerID(rawValue: entry.generation.rawValue) { slots[peer] = entry.slot }
        }
        slots = Self.unshared(slots)
        let peers = Dictionary(slots.map { ($0.value, $0.key) }, uniquingKeysWith: { first, _ in first })
        for (key, number) in tables.services {
            if let peer = peers[key.slot] {
                classes[Socket(peer: peer, transport: key.transport, port: key.port)] = number
            }
        }
        classes = Self.unshared(classes)
    }

    private static func unshared<Key: Hashable, Number: Hashable>(_ numbers: [Key: Number]) -> [Key: Number] {
        let holders = Dictionary(grouping: numbers.keys) { numbers[$0] }
        return numbers.filter { holders[$0.value]?.count == 1 }
    }

    /// Gives every peer and every socket a number; throws when there are more than the tables hold.
    package mutating func assign(peers: Set<PeerID>, sockets: Set<Socket>) throws(NodeError) {
        slots = try assigned(peers, keeping: slots, limit: Int(Slot.count), what: "peers") { Slot(rawValue: $0) }
        classes = try assigned(sockets, keeping: classes, limit: Int(ServiceClass.count), what: "services") {
            ServiceClass(rawValue: $0)
        }
    }

    /// What stays keeps its number; what is new gets the lowest that is free. Zero stands for nobody.
    private func assigned<Key: Hashable & Comparable, Number: RawRepresentable<UInt32>>(
        _ keys: Set<Key>, keeping old: [Key: Number], limit: Int, what: String, number: (UInt32) -> Number?
    ) throws(NodeError) -> [Key: Number] {
        guard keys.count < limit else {
            throw NodeError("this node would need \(keys.count) \(what), and its tables hold \(limit - 1)")
        }
        var result = old.filter { keys.contains($0.key) }
        var taken = Set(result.values.map(\.rawValue))
        var candidate: UInt32 = 1
        for key in keys.sorted() where result[key] == nil {
            while taken.contains(candidate) { candidate += 1 }
            taken.insert(candidate)
            result[key] = number(candidate)
        }
        return result
    }
}
