import Glibc

/// The calls by which spool and log touch the disk: each opens, works and closes.
enum Disk {
    static func makeDirectory(_ path: String) throws(AuditError) {
        guard unsafe mkdir(path, 0o700) == 0 || errno == EEXIST else { throw failure("make", path) }
    }

    /// The names of a directory's files, in order.
    static func names(in path: String) throws(AuditError) -> [String] {
        guard let directory = unsafe opendir(path) else { throw failure("read", path) }
        defer { unsafe closedir(directory) }
        var names: [String] = []
        while let entry = unsafe readdir(directory) {
            let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }

    static func size(of path: String) throws(AuditError) -> Int {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { throw failure("read", path) }
        return Int(status.st_size)
    }

    /// So many bytes from an offset on, or as many as there are.
    static func read(_ path: String, from offset: Int = 0, atMost limit: Int = .max) throws(AuditError) -> [UInt8] {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { throw failure("read", path) }
        defer { close(descriptor) }
        let wanted = min(limit, max(0, try size(of: path) - offset))
        var bytes = [UInt8](repeating: 0, count: wanted)
        var done = 0
        while done < wanted {
            let count = unsafe bytes.withUnsafeMutableBytes { buffer in
                unsafe pread(descriptor, buffer.baseAddress?.advanced(by: done), wanted - done, off_t(offset + done))
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw failure("read", path) }
            guard count > 0 else { break }
            done += count
        }
        return done == wanted ? bytes : Array(bytes[..<done])
    }

    /// Writes behind so many bytes of a file; what returns is on the disk, and what fails leaves the file as it was.
    static func append(_ bytes: [UInt8], to path: String, behind length: Int) throws(AuditError) {
        let isNew = length == 0
        let descriptor = unsafe open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_CREAT, 0o600)
        guard descriptor >= 0 else { throw failure("write", path) }
        defer { close(descriptor) }
        var done = 0
        while done < bytes.count {
            let count = unsafe bytes.withUnsafeBytes { buffer in
                unsafe pwrite(
                    descriptor, buffer.baseAddress?.advanced(by: done), bytes.count - done, off_t(length + done))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                let error = failure("write", path)
                ftruncate(descriptor, off_t(length))
                throw error
            }
            done += count
        }
        guard fdatasync(descriptor) == 0 else {
            let error = failure("write", path)
            ftruncate(descriptor, off_t(length))
            throw error
        }
        if isNew { try syncDirectory(of: path) }
    }

    static func cut(_ path: String, to length: Int) throws(AuditError) {
        guard unsafe truncate(path, off_t(length)) == 0 else { throw failure("cut", path) }
    }

    static func remove(_ path: String) throws(AuditError) {
        guard unsafe unlink(path) == 0 || errno == ENOENT else { throw failure("remove", path) }
    }

    /// Puts a small file in the place of another, without waiting for the disk: the old one may come back with the power.
    static func replace(_ path: String, with bytes: [UInt8], synced: Bool) throws(AuditError) {
        let temporary = path + ".new"
        try remove(temporary)
        let descriptor = unsafe open(temporary, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_CREAT | O_EXCL, 0o600)
        guard descriptor >= 0 else { throw failure("write", temporary) }
        defer { close(descriptor) }
        let count = unsafe bytes.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) }
        guard count == bytes.count, !synced || fsync(descriptor) == 0 else { throw failure("write", temporary) }
        guard unsafe rename(temporary, path) == 0 else { throw failure("write", path) }
        if synced { try syncDirectory(of: path) }
    }

    private static func syncDirectory(of path: String) throws(AuditError) {
        let directory = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        let descriptor = unsafe open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("read", directory) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw failure("write", directory) }
    }

    private static func failure(_ verb: String, _ path: String) -> AuditError {
        let text = unsafe String(cString: strerror(errno))
        return AuditError(.disk, "cannot \(verb) `\(path)`: \(text.prefix(1).lowercased() + text.dropFirst())")
    }
}
