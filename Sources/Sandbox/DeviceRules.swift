import Foundation

/// Which of the machine's devices an agent's definition can give.
///
/// An admin names them, and may mistake what a name means on a node, or who made it: so what is the machine itself,
/// its users' keys, or a disk, is given to nobody, and a name must be the one by which the kernel calls the device.
enum DeviceRules {
    /// What the kernel says of a character device by its number, in sysfs.
    struct Record: Equatable {
        /// The path below `/dev`.
        var name: String?
        /// The class that it belongs to.
        var subsystem: String?

        /// Empty for what the kernel keeps no record of, and where there is no sysfs.
        init(major: UInt32, minor: UInt32) {
            let folder = "/sys/dev/char/\(major):\(minor)"
            let lines = (try? String(contentsOfFile: folder + "/uevent", encoding: .utf8))?.split(separator: "\n") ?? []
            name = lines.first { $0.hasPrefix("DEVNAME=") }.map { String($0.dropFirst("DEVNAME=".count)) }
            subsystem = (try? FileManager.default.destinationOfSymbolicLink(atPath: folder + "/subsystem"))
                .flatMap { $0.split(separator: "/").last }.map(String.init)
        }

        init(name: String?, subsystem: String?) { (self.name, self.subsystem) = (name, subsystem) }
    }

    /// Why the device at a path cannot be given to an agent; nil when it can.
    static func refusal(of kind: FileKind?, at path: String) -> String? {
        guard case .characterDevice(let major, let minor) = kind else {
            return kind == .blockDevice ? "it is a disk, or another block device" : "it is not a character device"
        }
        return refusal(major: major, minor: minor, at: path, Record(major: major, minor: minor))
    }

    static func refusal(major: UInt32, minor: UInt32, at path: String, _ record: Record) -> String? {
        if let refusal = refusal(major: major, minor: minor) ?? record.subsystem.flatMap({ subsystems[$0] }) {
            return refusal
        }
        let name = record.name ?? String(path.dropFirst("/dev/".count))
        guard !controllingNames.contains(name) else { return "it controls the machine" }
        guard path != "/dev/" + name else { return nil }
        return "it is not what its name says: the kernel calls device \(major):\(minor) `/dev/\(name)`"
    }

    /// By the numbers of the kernel's devices.txt.
    private static func refusal(major: UInt32, minor: UInt32) -> String? {
        switch (major, minor) {
        case (1, 3), (1, 5), (1, 7...9): nil
        case (1, _): "it is the machine's memory, ports or log"
        case (4, _), (5, _), (128...143, _): "it is a terminal"
        case (7, _): "it shows what stands on the machine's screen"
        case (10, _): controlling.contains(minor) ? "it controls the machine" : nil
        case (13, _): "what people type at the machine is read there"
        case (9, _), (21, _), (90, _), (162, _): "it is the machine's disk, tape or flash memory"
        case (202, _): "it is the machine's processor"
        default: nil
        }
    }

    /// Of major 10: mice, watchdogs, nvram, microcode, typing as a user, machine checks, hpet, hibernation, btrfs,
    /// autofs, device-mapper, loop devices, input from programs, vsock, radio switches.
    private static let controlling: Set<UInt32> = Set(
        [1, 130, 131, 144, 184, 223, 227, 228, 231, 234, 235, 236, 237, 239, 241, 242])

    /// Of those whose numbers are given out as drivers come.
    private static let controllingNames: Set<String> = [
        "userfaultfd", "vga_arbiter", "vsock", "vhost-vsock", "cpu_dma_latency", "udmabuf", "mapper/control",
    ]

    /// Classes whose major numbers are given out as drivers come.
    private static let subsystems: [String: String] = [
        "tty": "it is a terminal", "vc": "it shows what stands on the machine's screen",
        "input": "what people type at the machine is read there",
        "hidraw": "what people type at the machine is read there",
        "scsi_generic": "it is the machine's disk", "bsg": "it is the machine's disk",
        "nvme": "it is the machine's disk",
        "nvme-generic": "it is the machine's disk", "nvme-subsystem": "it is the machine's disk",
        "mtd": "it is the machine's flash memory", "ubi": "it is the machine's flash memory",
        "msr": "it is the machine's processor", "watchdog": "it controls the machine",
        "usbmon": "what people type at the machine is read there",
    ]
}
