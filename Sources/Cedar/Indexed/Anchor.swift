/// What one variable of a scope asks for, as a number that is not 0.
///
/// A row tells all of the anchors that its entity fulfils, so that a policy's is found by comparing numbers.
struct Anchor: Hashable, Sendable {
    let code: UInt32

    static let any = Anchor(code: 1)
    /// Types are told by 30 bits of a hash, so that whoever finds a policy by one still compares the type.
    static func type(_ type: EntityType) -> Anchor {
        Anchor(code: UInt32(truncatingIfNeeded: Bytes.hash(type.name)) << 2 | 2)
    }
    static func equal(_ handle: Handle) -> Anchor { Anchor(code: handle << 2 | 3) }
    static func within(_ handle: Handle) -> Anchor { Anchor(code: handle << 2) }

    /// The group, where that is what is asked for.
    var group: Handle? { code & 3 == 0 ? code >> 2 : nil }
}

/// The number of an entity's name, from 1.
typealias Handle = UInt32
