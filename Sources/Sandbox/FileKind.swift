import CLinux
import Foundation

/// What stands at a path or behind a descriptor.
enum FileKind: Equatable {
    case file, directory, pipe, socket, link, blockDevice
    case characterDevice(major: UInt32, minor: UInt32)

    /// Does not follow a symbolic link at the end of the path; nil when nothing is there.
    init?(_ path: String) {
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { return nil }
        self.init(status)
    }

    init?(descriptor: Int32) {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { return nil }
        self.init(status)
    }

    private init?(_ status: stat) {
        switch status.st_mode & S_IFMT {
        case S_IFREG: self = .file
        case S_IFDIR: self = .directory
        case S_IFIFO: self = .pipe
        case S_IFSOCK: self = .socket
        case S_IFLNK: self = .link
        case S_IFBLK: self = .blockDevice
        case S_IFCHR:
            // The kernel's own layout of st_rdev as makedev(3) has it.
            let number = status.st_rdev
            self = .characterDevice(
                major: UInt32(truncatingIfNeeded: number >> 8 & 0xfff),
                minor: UInt32(truncatingIfNeeded: number & 0xff | number >> 12 & 0xfff00))
        default: return nil
        }
    }
}

extension Enclosure {
    /// Refuses a standard stream that would be a way out: a socket other than a connected stream of AF_UNIX,
    /// a directory, a device other than `/dev/null` and its like. A terminal is made by the session for itself.
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
        switch FileKind(descriptor: descriptor) {
        case .file, .pipe: nil
        case .socket: refusal(ofSocket: descriptor)
        case .directory: "a directory"
        case .blockDevice: "a block device"
        case .characterDevice(1, 3), .characterDevice(1, 5), .characterDevice(1, 7...9): nil
        // Whoever holds a terminal reads what is typed at it, and writes what is seen there.
        case .characterDevice: isatty(descriptor) == 1 ? "a terminal that is another's" : "a device"
        case .link, nil: "not open, or nothing that can be read or written"
        }
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
