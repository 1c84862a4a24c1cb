import Glibc

/// Files that hold secrets.
enum SecretFile {
    /// Reads a file that nobody but its owner can read, or with `-` standard input.
    static func read(_ path: String, upTo limit: Int) throws(CommandFailure) -> [UInt8] {
        if path == "-" { return try contents(of: STDIN_FILENO, path: "standard input", upTo: limit) }
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw CommandFailure("cannot read `\(path)`: \(reason())") }
        defer { close(descriptor) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else {
            throw CommandFailure("cannot read `\(path)`: \(reason())")
        }
        guard status.st_mode & S_IFMT == S_IFREG else { throw CommandFailure("`\(path)` is not a file") }
        guard status.st_mode & 0o077 == 0 else {
            throw CommandFailure("`\(path)` holds a secret and others can read it: chmod 600 \(path)")
        }
        guard status.st_uid == geteuid() || status.st_uid == 0 else {
            throw CommandFailure("`\(path)` belongs to another user, who could have changed it")
        }
        return try contents(of: descriptor, path: path, upTo: limit)
    }

    /// Makes a file of mode 0600 that was not there before.
    static func create(_ path: String) throws(CommandFailure) -> Int32 {
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            let advice = errno == EEXIST ? ": remove it, or choose another name" : ""
            throw CommandFailure("cannot make `\(path)`: \(reason())\(advice)")
        }
        return descriptor
    }

    /// Puts another content in the place of a file's, as a whole or not at all.
    static func replace(_ path: String, with bytes: [UInt8]) throws(CommandFailure) {
        let fresh = path + ".new"
        unsafe unlink(fresh)
        let descriptor = try create(fresh)
        defer { close(descriptor) }
        try write(bytes, to: descriptor, path: fresh)
        guard fsync(descriptor) == 0, unsafe rename(fresh, path) == 0 else {
            throw CommandFailure("cannot replace `\(path)`: \(reason())")
        }
    }

    static func write(_ bytes: [UInt8], to descriptor: Int32, path: String) throws(CommandFailure) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 || (count < 0 && errno == EINTR) else {
                throw CommandFailure("cannot write `\(path)`: \(reason())")
            }
            rest = rest.dropFirst(max(0, count))
        }
    }

    private static func contents(
        of descriptor: Int32, path: String, upTo limit: Int
    ) throws(CommandFailure) -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = unsafe chunk.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress, $0.count) }
            guard count >= 0 else { throw CommandFailure("cannot read `\(path)`: \(reason())") }
            guard count > 0 else { return bytes }
            bytes += chunk.prefix(count)
            guard bytes.count <= limit else { throw CommandFailure("`\(path)` is longer than \(limit) bytes") }
        }
    }

    private static func reason() -> String { systemReason(errno) }
}

/// What the system calls an error: `no such file or directory`.
func systemReason(_ code: Int32) -> String {
    let text = unsafe strerror(code).map { unsafe String(cString: $0) } ?? "error \(code)"
    return text.prefix(1).lowercased() + text.dropFirst()
}
