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
