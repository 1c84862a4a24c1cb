import Glibc

/// The calls that change files. Each gives 0 (or a descriptor), or -errno.
///
/// They are values, so that a test can fill the disk, or end the daemon, between any two of them.
package struct DiskCalls: Sendable {
    /// Makes a new file of mode 0600, and refuses one that is there.
    package var create: @Sendable (_ path: String) -> Int32
    /// Opens a file that is there, to write behind its end.
    package var extend: @Sendable (_ path: String) -> Int32
    package var write: @Sendable (_ descriptor: Int32, _ bytes: [UInt8]) -> Int32
    package var sync: @Sendable (_ descriptor: Int32) -> Int32
    package var rename: @Sendable (_ old: String, _ new: String) -> Int32
    package var remove: @Sendable (_ path: String) -> Int32
    package var empty: @Sendable (_ path: String) -> Int32
    /// Makes what was renamed and removed in a directory last.
    package var syncDirectory: @Sendable (_ path: String) -> Int32

    package static let real = DiskCalls(
        create: { result(unsafe open($0, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)) },
        extend: { result(unsafe open($0, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW)) },
        write: { writeAll($0, $1) ? 0 : -errno },
        sync: { result(fdatasync($0)) },
        rename: { result(unsafe Glibc.rename($0, $1)) },
        remove: { result(unsafe unlink($0)) },
        empty: { result(unsafe truncate($0, 0)) },
        syncDirectory: { path in
            let descriptor = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            guard descriptor >= 0 else { return -errno }
            defer { close(descriptor) }
            return result(fsync(descriptor))
        })

    private static func result(_ value: Int32) -> Int32 { value < 0 ? -errno : value }
}

/// Refuses a directory that somebody else can enter.
func checkOwn(directory path: String) throws(NodeError) {
    var status = stat()
    guard unsafe stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
        throw NodeError("`\(path)` is not a directory")
    }
    guard status.st_uid == geteuid(), status.st_mode & 0o077 == 0 else {
        throw NodeError("`\(path)` must belong to this user and have mode 0700, for it holds keys")
    }
}
