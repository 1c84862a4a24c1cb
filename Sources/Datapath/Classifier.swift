internal import CLinux
internal import CPosternABI
internal import Mesh

/// The programs that judge every packet of one mesh device, in both directions.
///
/// Where the kernel has TCX they are attached by links that are pinned: they work on when we are gone, and move with
/// the device. Elsewhere they are filters of its clsact, which a move to another namespace takes away: a device is
/// moved first and guarded then. Pinned is what `verify` compares with the device: the link, or the program.
package enum Classifier {
    /// How a kernel takes programs on a device.
    package enum Attachment: String, Sendable, CaseIterable { case tcx, clsact }

    private enum Direction: String, CaseIterable {
        case ingress, egress

        /// As the kernel shows it.
        var program: String { "postern_\(rawValue)" }
        var attachType: Int32 { Int32(self == .ingress ? PT_TCX_INGRESS : PT_TCX_EGRESS) }
        var filter: pt_tc_direction { self == .ingress ? PT_TC_INGRESS : PT_TC_EGRESS }
    }

    /// What this kernel has.
    package static let attachment: Attachment = pt_bpf_has_tcx() == 1 ? .tcx : .clsact

    /// Puts the classifier first in both chains of a device, in the place of an earlier one of the same pins.
    ///
    /// - Parameters:
    ///   - interface: the index, in the namespace where the device is.
    ///   - netns: a descriptor of that network namespace; nil for our own.
    ///   - pins: the directory in a bpffs for this device alone.
    package static func attach(
        interface: UInt32, netns: Int32?, identity: DeviceIdentity, tables: borrowing Tables, pins path: String,
        by attachment: Attachment = attachment
    ) throws(DatapathError) {
        let pins = try PinDirectory(path)
        let operation = "attach the classifier to interface \(interface)"
        let link = try LinkHeader.of(interface: interface, netns: netns, operation)
        let object = try load(identity, behind: link, tables: tables)
        for direction in Direction.allCases {
            let program = try object.descriptor(of: direction.program)
            switch attachment {
            case .tcx:
                let result = pt_bpf_link_tcx(netns ?? -1, program, Int32(interface), direction.attachType)
                let link = Descriptor(owning: try DatapathError.check(result, operation))
                try pins.replace(direction.rawValue, with: link)
                try detachOthers(than: link, direction, interface: interface, netns: netns, operation)
            case .clsact:
                let result = pt_tc_attach(netns ?? -1, Int32(interface), direction.filter, program)
                try DatapathError.check(result, operation)
                try pins.replace(direction.rawValue, with: try object.program(direction.program))
            }
        }
    }

    /// A session may hold the links of an earlier classifier, whose pins are gone and whose tables nobody renews.
    private static func detachOthers(
        than link: borrowing Descriptor, _ direction: Direction, interface: UInt32, netns: Int32?, _ operation: String
    ) throws(DatapathError) {
        var own = pt_bpf_link()
        try DatapathError.check(unsafe pt_bpf_link_info(link.raw, &own), operation)
        let result = unsafe pt_bpf_detach_tcx(
            netns ?? -1, Int32(interface), direction.attachType, direction.program, own.id)
        try DatapathError.check(result, operation)
    }

    /// Lends the links of a device's classifier, for whoever keeps it attached by holding them; none where they are filters.
    package static func withLinks(
        pins path: String, by attachment: Attachment = attachment, _ body: ([Int32]) throws -> Void
    ) throws {
        guard attachment == .tcx else { return try body([]) }
        let pins = PinDirectory(existing: path)
        guard let ingress = try pins.open(Direction.ingress.rawValue),
            let egress = try pins.open(Direction.egress.rawValue)
        else { throw DatapathError("hold the classifier", because: "it is not attached") }
        try body([ingress.raw, egress.raw])
    }

    /// Throws unless our programs are the first in both chains of this device.
    package static func verify(
        interface: UInt32, netns: Int32?, pins path: String, by attachment: Attachment = attachment
    ) throws(DatapathError) {
        let pins = PinDirectory(existing: path)
        for direction in Direction.allCases {
            let operation = "rely on the classifier of interface \(interface) (\(direction.rawValue))"
            guard let pinned = try pins.open(direction.rawValue) else {
                throw DatapathError(operation, because: "it is not attached")
            }
            var (own, first) = (UInt32(0), UInt32(0))
            switch attachment {
            case .tcx:
                own = try program(of: pinned, on: interface, operation)
                try DatapathError.check(
                    unsafe pt_bpf_first_tcx(netns ?? -1, Int32(interface), direction.attachType, &first), operation)
            case .clsact:
                try DatapathError.check(unsafe pt_bpf_program_id(pinned.raw, &own), operation)
                try DatapathError.check(
                    unsafe pt_tc_first(netns ?? -1, Int32(interface), direction.filter, &first), operation)
                guard first != 0 else { throw DatapathError(operation, because: "it has been taken off") }
            }
            guard first == own else { throw DatapathError(operation, because: "another program stands before it") }
        }
    }

    /// The program of a link, which must be to this device.
    private static func program(
        of link: borrowing Descriptor, on interface: UInt32, _ operation: String
    ) throws(DatapathError) -> UInt32 {
        var information = pt_bpf_link()
        try DatapathError.check(unsafe pt_bpf_link_info(link.raw, &information), operation)
        guard information.ifindex == interface else {
            throw DatapathError(operation, because: "it is attached to another device")
        }
        return information.program
    }

    /// Takes the classifier off: the device must be down or gone, for nothing judges its packets afterwards.
    package static func detach(pins path: String) throws(DatapathError) {
        try PinDirectory.removeAll(Direction.allCases.map(\.rawValue), at: path)
    }

    static func load(
        _ identity: DeviceIdentity, behind link: LinkHeader = .ethernet, tables: borrowing Tables
    ) throws(DatapathError) -> ProgramObject {
        let object = try ProgramObject("classifier", base64: classifierObject)
        try object.freeze(identity.frozen(behind: link))
        try object.share(tables)
        try object.load()
        return object
    }
}

extension Classifier {
    /// The programs as they were compiled, as text: two versions that differ differ here.
    package static var image: String { classifierObject }
}
