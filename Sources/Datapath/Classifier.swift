internal import CLinux
internal import CPosternABI
internal import Mesh

/// The programs that judge every packet of one mesh device, in both directions.
///
/// Attached by TCX links that are pinned: they work on when we are gone, and move with the device.
package enum Classifier {
    private enum Direction: String, CaseIterable {
        case ingress, egress

        var attachType: Int32 { Int32(self == .ingress ? PT_TCX_INGRESS : PT_TCX_EGRESS) }
    }

    /// Puts the classifier first in both chains of a device, in the place of an earlier one of the same pins.
    ///
    /// - Parameters:
    ///   - interface: the index, in the namespace where the device is.
    ///   - netns: a descriptor of that network namespace; nil for our own.
    ///   - pins: the directory in a bpffs for this device alone.
    package static func attach(
        interface: UInt32, netns: Int32?, identity: DeviceIdentity, tables: borrowing Tables, pins path: String
    ) throws(DatapathError) {
        let pins = try PinDirectory(path)
        let object = try load(identity, tables: tables)
        for direction in Direction.allCases {
            let result = pt_bpf_link_tcx(
                netns ?? -1, try object.descriptor(of: direction.rawValue), Int32(interface), direction.attachType)
            let link = Descriptor(
                owning: try DatapathError.check(result, "attach the classifier to interface \(interface)"))
            try pins.replace(direction.rawValue, with: link)
        }
    }

    /// Throws unless our programs are the first in both chains of this device.
    package static func verify(interface: UInt32, netns: Int32?, pins path: String) throws(DatapathError) {
        let pins = PinDirectory(existing: path)
        for direction in Direction.allCases {
            let operation = "rely on the classifier of interface \(interface) (\(direction.rawValue))"
            guard let link = try pins.open(direction.rawValue) else {
                throw DatapathError(operation, because: "it is not attached")
            }
            var (information, first) = (pt_bpf_link(), UInt32(0))
            try DatapathError.check(unsafe pt_bpf_link_info(link.raw, &information), operation)
            try DatapathError.check(
                unsafe pt_bpf_first_tcx(netns ?? -1, Int32(interface), direction.attachType, &first), operation)
            guard information.ifindex == interface else {
                throw DatapathError(operation, because: "it is attached to another device")
            }
            guard first == information.program else {
                throw DatapathError(operation, because: "another program stands before it")
            }
        }
    }

    /// Takes the classifier off: the device must be down or gone, for nothing judges its packets afterwards.
    package static func detach(pins path: String) throws(DatapathError) {
        try PinDirectory.removeAll(Direction.allCases.map(\.rawValue), at: path)
    }

    static func load(_ identity: DeviceIdentity, tables: borrowing Tables) throws(DatapathError) -> ProgramObject {
        let object = try ProgramObject("classifier", base64: classifierObject)
        try object.freeze(identity.frozen)
        try object.share(tables)
        try object.load()
        return object
    }
}

extension Classifier {
    /// The programs as they were compiled, as text: two versions that differ differ here.
    package static var image: String { classifierObject }
}
