internal import CPosternABI
package import Mesh

/// What is frozen into the programs of one device: whose it is.
///
/// An interface index repeats across namespaces, so a device is never known by it in a table.
package struct DeviceIdentity: Hashable, Sendable {
    package enum Kind: Sendable { case node, session }

    package let kind: Kind
    package let slot: Slot
    /// Which use of the slot: once another peer has the slot, the programs of this device pass nothing.
    package let generation: Generation
    package let offset: MeshOffset
    package let pool: AddressPool

    /// The users whose sockets open from a node's device, where a grant allows it; a session's asks nobody.
    package let openers: Set<UInt32>

    /// As many openers as the programs hold.
    package static let maximumOpeners = Int(PT_OPENERS)
    /// What the kernel calls the user of a packet that has no socket: never an opener.
    private static let nobody: UInt32 = 65534

    /// - Parameter openers: of more than `maximumOpeners` the lowest count.
    package init(
        kind: Kind, slot: Slot, generation: Generation, offset: MeshOffset, pool: AddressPool,
        openers: Set<UInt32> = [0]
    ) {
        (self.kind, self.slot, self.generation) = (kind, slot, generation)
        (self.offset, self.pool) = (offset, pool)
        self.openers = Set(openers.filter { $0 != Self.nobody }.sorted().prefix(Self.maximumOpeners))
    }

    /// - Parameter link: where the programs look for IP; a test run gives them Ethernet.
    func frozen(behind link: LinkHeader = .ethernet) -> pt_identity {
        var users = openers.sorted().makeIterator()
        return pt_identity(
            v6_prefix: pool.v6Prefix, v4_base: pool.v4Base.rawValue, offset: offset.rawValue, slot: slot.rawValue,
            generation: generation.rawValue, session: kind == .session ? 1 : 0, patience: Ticker.patience,
            openers: (users.next() ?? 0, users.next() ?? 0, users.next() ?? 0, users.next() ?? 0),
            opener_count: UInt32(openers.count), link_bytes: link.rawValue)
    }
}
