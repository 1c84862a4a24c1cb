import CLinux
import Foundation

// What may be handed to a session as a standard stream:
//
//     a file      of a file system, opened for it; not one by which the kernel is controlled, and no mere name
//     a pipe
//     a socket    a connected stream of AF_UNIX
//     a device    /dev/null and its like; a terminal is made by the session for itself
//
// Everything else would be a way out.
extension Enclosure {
    /// Refuses a standard stream that would be a way out.
    package static func checkStdio(_ descriptors: [Int32]) throws(SandboxError) {
        guard descriptors.count == 3 else {
            throw SandboxError(.descriptors, "a session takes three standard streams, not \(descriptors.count)")
        }
        for (descriptor, name) in zip(descriptors, ["input", "output", "error"]) {
            guard let refusal = refusal(of: descriptor) else { continue }
            throw SandboxError(.descriptors, "standard \(name) cannot be given to an agent: it is \(refusal)")
        }
    }

    private static func refusal(of descriptor: Int32) -> String? {
        let mode = fcntl(descriptor, F_GETFL)
        guard mode & nameOnly == 0 || mode < 0 else { return "only the name of a file, which was not opened" }
        return switch FileKind(descriptor: descriptor) {
        case .file: refusal(ofFile: descriptor, isReadOnly: mode & O_ACCMODE == O_RDONLY)
        case .pipe: nil
        case .socket: refusal(ofSocket: descriptor)
        case .directory: "a directory"
        case .blockDevice: "a block device"
        case .characterDevice(1, 3), .characterDevice(1, 5), .characterDevice(1, 7...9): nil
        // Whoever holds a terminal reads what is typed at it, and writes what is seen there.
        case .characterDevice: isatty(descriptor) == 1 ? "a terminal that is another's" : "a device"
        case .link, nil: "not open, or nothing that can be read or written"
        }
    }

    /// O_PATH, which the C library shows to nobody who does not ask for its extensions.
    private static let nameOnly: Int32 = 0o10_000_000

    private static func refusal(ofFile descriptor: Int32, isReadOnly: Bool) -> String? {
        switch FileSystem(of: descriptor) {
        case .namespaces: "a handle of a namespace or a process"
        case .controls: isReadOnly ? nil : "a file by which the kernel is controlled"
        case .memory: refusal(ofMemory: descriptor)
        case .ordinary: nil
        }
    }

    /// Memory without a name (memfd_create(2)) has no directory, so neither mounts nor Landlock keep anybody from
    /// opening it anew in another way: it must be open for both, or sealed.
    private static func refusal(ofMemory descriptor: Int32) -> String? {
        guard fcntl(descriptor, F_GETFL) & O_ACCMODE != O_RDWR else { return nil }
        let (getSeals, sealedAgainstWriting): (Int32, Int32) = (1034, 0x8 | 0x10)  // linux/fcntl.h
        let seals = fcntl(descriptor, getSeals)
        guard seals < 0 || seals & sealedAgainstWriting == 0 else { return nil }
        return "memory (memfd) that could be opened anew to be written; seal it, or hand it over open for both"
    }

    /// A socket looks names up in the network namespace that it was made in, so all that could still connect,
    /// send to a name or accept reaches the machine. A connected stream cannot be connected anew.
    private static func refusal(ofSocket descriptor: Int32) -> String? {
        guard pt_socket_domain(descriptor) == AF_UNIX else { return "a socket that leads out of its network" }
        guard [SOCK_STREAM, SOCK_SEQPACKET].contains(where: { pt_socket_type(descriptor) == Int32($0.rawValue) })
        else { return "a Unix socket for datagrams, which reaches any other by its name" }
        guard pt_socket_listens(descriptor) == 0 else { return "a Unix socket that takes connections" }
        guard pt_socket_has_peer(descriptor) == 0 else { return "a Unix socket that is not connected" }
        return nil
    }
}

/// What stands behind an open file that says it is a regular one.
enum FileSystem: Equatable {
    case ordinary
    /// Memory of memfd_create(2): no path leads there.
    case memory
    /// What one enters by setns(2).
    case namespaces
    /// Files that are the kernel's own settings and objects.
    case controls

    /// By the numbers of linux/magic.h.
    init(of descriptor: Int32) {
        switch pt_filesystem_type(descriptor) {
        case 0x6e73_6673, 0x5049_4446: self = .namespaces  // nsfs, pidfs
        case let type where Self.controlling.contains(type): self = .controls
        case 0x0102_1994, 0x9584_58f6: self = Self.isNameless(descriptor) ? .memory : .ordinary  // tmpfs, hugetlbfs
        default: self = .ordinary
        }
    }

    /// proc, sysfs, debugfs, tracefs, securityfs, configfs, cgroups of both versions, bpf, efivarfs, pstore, selinuxfs.
    private static let controlling: Set<Int> = [
        0x9fa0, 0x6265_6572, 0x6462_6720, 0x7472_6163, 0x7363_6673, 0x6265_6570, 0x6367_7270, 0x0027_e0eb, 0xcafe_4a11,
        0xde5e_81e4, 0x6165_676c, 0xf97c_ff8c,
    ]

    /// The kernel's name for memory that has none.
    private static func isNameless(_ descriptor: Int32) -> Bool {
        let name = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(descriptor)")
        return name?.hasPrefix("/memfd:") ?? true
    }
}
