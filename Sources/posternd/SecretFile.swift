import Glibc
import PosternNode

/// The bytes of a secret, at most one more than `limit`: from a file that only its owner can read, or from standard
/// input for `-`.
func readSecretFile(_ path: String, upTo limit: Int) throws(NodeError) -> [UInt8] {
    if path == "-" { return try contents(of: STDIN_FILENO, "standard input", upTo: limit) }
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw NodeError("cannot read `\(path)`: \(reason())") }
    defer { close(descriptor) }
    // Opened first and looked at then, so that what was looked at is what is read.
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
        throw NodeError("`\(path)` is not a file")
    }
    guard status.st_mode & 0o077 == 0 else {
        throw NodeError("`\(path)` holds a secret and others can read it: chmod 600 \(path)")
    }
    return try contents(of: descriptor, "`\(path)`", upTo: limit)
}

private func contents(of descriptor: Int32, _ name: String, upTo limit: Int) throws(NodeError) -> [UInt8] {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while bytes.count <= limit {
        let count = unsafe chunk.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR { continue }
        guard count >= 0 else { throw NodeError("cannot read \(name): \(reason())") }
        guard count > 0 else { break }
        bytes += chunk[..<count]
    }
    return Array(bytes.prefix(limit + 1))
}

private func reason() -> String {
    let text = unsafe String(cString: strerror(errno))
    return text.prefix(1).lowercased() + text.dropFirst()
}
