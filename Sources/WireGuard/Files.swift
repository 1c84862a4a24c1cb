internal import Glibc

/// An error number of the system.
struct SystemError: Error, Equatable { let errno: Int32 }

/// The start of a file as text; no more than the limit is read.
func readFile(_ path: String, limit: Int) throws(SystemError) -> String {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw SystemError(errno: errno) }
    defer { close(descriptor) }
    return String(decoding: try readBytes(descriptor, limit: limit), as: UTF8.self)
}

/// The last bytes of a file as text.
func readEnd(of path: String, limit: Int) -> String? {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    let size = lseek(descriptor, 0, SEEK_END)
    lseek(descriptor, max(0, size - off_t(limit)), SEEK_SET)
    return (try? readBytes(descriptor, limit: limit)).map { String(decoding: $0, as: UTF8.self) }
}

private func readBytes(_ descriptor: Int32, limit: Int) throws(SystemError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: limit)
    var length = 0
    while length < limit {
        let count = unsafe bytes[length...].withUnsafeMutableBytes { space in
            unsafe read(descriptor, space.baseAddress, space.count)
        }
        if count < 0, errno == EINTR { continue }
        guard count >= 0 else { throw SystemError(errno: errno) }
        if count == 0 { break }
        length += count
    }
    return Array(bytes[..<length])
}

/// Replaces a file of mode 0600 in one step: a reader sees the old text or the new one.
func writeFile(_ path: String, _ text: String) throws(SystemError) {
    let draft = path + ".new"
    let descriptor = unsafe open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { throw SystemError(errno: errno) }
    defer { close(descriptor) }
    let bytes = Array(text.utf8)
    guard unsafe write(descriptor, bytes, bytes.count) == bytes.count, unsafe rename(draft, path) == 0 else {
        throw SystemError(errno: errno)
    }
}

/// Empties a file that has grown beyond the limit. Whoever writes to it must append.
func emptyFile(_ path: String, above limit: Int) {
    let descriptor = unsafe open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    if lseek(descriptor, 0, SEEK_END) > off_t(limit) { ftruncate(descriptor, 0) }
}

/// The names of the files in a directory.
func fileNames(in path: String) throws(SystemError) -> [String] {
    guard let directory = unsafe opendir(path) else { throw SystemError(errno: errno) }
    defer { unsafe closedir(directory) }
    var names: [String] = []
    while true {
        // The end of the list and a failure look alike but for errno.
        errno = 0
        guard let entry = unsafe readdir(directory) else { break }
        let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { unsafe Array($0.prefix { $0 != 0 }) }
        names.append(String(decoding: name, as: UTF8.self))
    }
    guard errno == 0 else { throw SystemError(errno: errno) }
    return names
}

/// Where a symbolic link leads; nil when there is none.
func linkTarget(_ path: String) throws(SystemError) -> String? {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = unsafe buffer.withUnsafeMutableBytes { space in
        guard let start = space.baseAddress else { return 0 }
        return unsafe readlink(path, start.assumingMemoryBound(to: CChar.self), space.count)
    }
    guard count < 0 else { return String(decoding: buffer[..<count], as: UTF8.self) }
    guard errno == ENOENT || errno == ESRCH else { throw SystemError(errno: errno) }
    return nil
}

/// The path with all its links followed; nil when it leads nowhere.
func realPath(_ path: String) throws(SystemError) -> String? {
    guard let resolved = unsafe realpath(path, nil) else {
        guard errno == ENOENT || errno == ENOTDIR else { throw SystemError(errno: errno) }
        return nil
    }
    defer { unsafe free(resolved) }
    return unsafe String(cString: resolved)
}
