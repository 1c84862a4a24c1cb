import Testing

@testable import Sandbox

@Suite struct DeviceRulesTests {
    private typealias Record = DeviceRules.Record

    @Test(
        arguments: [
            (10, 200, "net/tun", "misc"), (10, 229, "fuse", "misc"), (10, 232, "kvm", "misc"),
            (226, 128, "dri/renderD128", "drm"), (116, 3, "snd/pcmC0D0p", "sound"), (81, 0, "video0", "video4linux"),
            (1, 8, "random", "mem"),
        ] as [(UInt32, UInt32, String, String)])
    func `what a program uses is given by its own name`(major: UInt32, minor: UInt32, name: String, subsystem: String) {
        let record = Record(name: name, subsystem: subsystem)
        #expect(DeviceRules.refusal(major: major, minor: minor, at: "/dev/" + name, record) == nil)
        let refusal = DeviceRules.refusal(major: major, minor: minor, at: "/dev/other", record)
        #expect(refusal == "it is not what its name says: the kernel calls device \(major):\(minor) `/dev/\(name)`")
    }

    /// A driver may keep no record; numbers and names are then all there is.
    @Test func `what the kernel keeps no record of is given by its number`() {
        let record = Record(name: nil, subsystem: nil)
        #expect(DeviceRules.refusal(major: 195, minor: 0, at: "/dev/nvidia0", record) == nil)
        #expect(DeviceRules.refusal(major: 1, minor: 1, at: "/dev/nvidia0", record) != nil)
        #expect(DeviceRules.refusal(major: 10, minor: 63, at: "/dev/userfaultfd", record) != nil)
    }

    @Test(
        arguments: [
            (1, 1, "mem", "mem"), (1, 2, "kmem", "mem"), (1, 4, "port", "mem"), (1, 11, "kmsg", "mem"),
            (4, 1, "tty1", "tty"), (5, 1, "console", "tty"), (136, 0, "pts/0", "tty"), (7, 0, "vcs", "vc"),
            (13, 64, "input/event0", "input"), (10, 223, "uinput", "misc"), (10, 235, "autofs", "misc"),
            (10, 236, "mapper/control", "misc"), (10, 237, "loop-control", "misc"), (10, 125, "userfaultfd", "misc"),
            (21, 0, "sg0", "scsi_generic"), (245, 0, "nvme0", "nvme"), (250, 0, "bsg/0:0:0:0", "bsg"),
            (202, 0, "cpu/0/msr", "msr"), (204, 64, "ttyAMA0", "tty"), (240, 0, "hidraw0", "hidraw"),
            (248, 0, "watchdog0", "watchdog"),
        ] as [(UInt32, UInt32, String, String)])
    func `what is the machine itself is given to nobody`(
        major: UInt32, minor: UInt32, name: String, subsystem: String
    ) {
        let record = Record(name: name, subsystem: subsystem)
        #expect(DeviceRules.refusal(major: major, minor: minor, at: "/dev/" + name, record) != nil)
    }

    @Test func `only character devices are given`() {
        for kind in [FileKind.blockDevice, .file, .directory, .pipe, .socket, .link, nil] {
            #expect(DeviceRules.refusal(of: kind, at: "/dev/x") != nil)
        }
    }

    @Test func `the kernel's own record is read`() {
        #expect(Record(major: 1, minor: 3) == Record(name: "null", subsystem: "mem"))
        #expect(Record(major: 4095, minor: 1) == Record(name: nil, subsystem: nil))
    }
}
