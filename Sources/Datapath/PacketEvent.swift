internal import CPosternABI
package import Mesh

/// What the kernel told of one opening packet, or of one denial.
package struct PacketEvent: Hashable, Sendable {
    package enum Kind: UInt8, Sendable {
        case opened = 0
        case denied = 1
    }
    package enum Address: Hashable, Sendable, CustomStringConvertible {
        case v4(IPv4Address)
        case v6(IPv6Address)

        package var description: String {
            switch self {
            case .v4(let address): address.description
            case .v6(let address): address.description
            }
        }
    }

    package let time: BootTime
    package let kind: Kind
    package let reason: Reason
    package let place: Place
    /// Whose device or hook it was.
    package let ownSlot: Slot?
    /// The other end; nil when its address is nobody's.
    package let remoteSlot: Slot?
    /// Who opened, or tried to; nil when it did not come to that question.
    package let initiator: Slot?
    /// nil when it was not IP; the source also at the connect hook, which runs before there is one.
    package let source: Address?
    package let destination: Address?
    /// The number of the protocol above IP.
    package let transport: UInt8
    package let sourcePort: Port?
    package let destinationPort: Port?
    /// Events of the same sender and kind that were only counted since the last one.
    package let suppressed: UInt32
    /// Of the grant with an end that decided: the number that its `TimedGrant` has. Nil where there was none.
    package let policy: UInt32?
}

extension PacketEvent {
    /// Nil for a record that the kernel side never makes.
    init?(_ raw: pt_event) {
        guard let kind = Kind(rawValue: raw.kind), let reason = Reason(rawValue: UInt32(raw.reason)),
            let place = Place(rawValue: UInt32(raw.place))
        else { return nil }
        (self.kind, self.reason, self.place) = (kind, reason, place)
        time = BootTime(rawValue: raw.boot_ns)
        ownSlot = Slot(rawValue: raw.own_slot)
        remoteSlot = Slot(rawValue: raw.remote_slot)
        initiator = Slot(rawValue: raw.initiator_slot)
        var raw = raw
        let (source, destination) = unsafe (
            withUnsafeBytes(of: &raw.source) { unsafe Array($0) },
            withUnsafeBytes(of: &raw.destination) { unsafe Array($0) }
        )
        self.source = place == .connect ? nil : Self.address(source, family: raw.family)
        self.destination = Self.address(destination, family: raw.family)
        transport = raw.protocol
        sourcePort = Port(rawValue: raw.source_port)
        destinationPort = Port(rawValue: raw.destination_port)
        suppressed = raw.suppressed
        policy = raw.policy == 0 ? nil : raw.policy
    }

    private static func address(_ bytes: [UInt8], family: UInt8) -> Address? {
        func number(_ range: Range<Int>) -> UInt64 { bytes[range].reduce(0) { $0 << 8 | UInt64($1) } }
        switch family {
        case 4: return .v4(IPv4Address(rawValue: UInt32(number(0..<4))))
        case 6: return .v6(IPv6Address(high: number(0..<8), low: number(8..<16)))
        default: return nil
        }
    }
}
