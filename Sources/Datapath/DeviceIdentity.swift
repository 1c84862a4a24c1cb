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

    package init(kind: Kind, slot: Slot, generation: Generation, offset: MeshOffset, pool: AddressPool) {
        (self.kind, self.slot, self.generation) = (kind, slot, generation)
        (self.offset, self.pool) = (offset, pool)
    }

    var frozen: pt_identity {
        pt_identity(
            v6_prefix: pool.v6Prefix, v4_base: pool.v4Base.rawValue, offset: offset.rawValue, slot: slot.rawValue,
            generation: generation.rawValue, session: kind == .session ? 1 : 0, pad: 0)
    }
}
