import Glibc

/// Files that anybody may read, as a command reads and writes them.
enum PlainFile {
    private static let maximumBytes = 64 << 20

    static func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

    /// - Parameters:
    ///   - path: nil for standard input.
    ///   - what: what the text is, for the sentence that it cannot be read.
    static func read(_ path: String?, what: String) throws(CommandFailure) -> String {
        let name = path ?? "<stdin>"
        func failure() -> CommandFailure {
            CommandFailure("cannot read the \(what) from `\(name)`: \(systemReason(errno))")
        }
        let descriptor = path.map { unsafe open($0, O_RDONLY | O_CLOEXEC) } ?? STDIN_FILENO
        guard descriptor >= 0 else { throw failure() }
        defer { if path != nil { close(descriptor) } }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = unsafe chunk.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw failure() }
            guard count > 0 else { break }
            bytes += chunk.prefix(count)
            guard bytes.count <= maximumBytes else {
                throw CommandFailure("the \(what) in `\(name)` is longer than \(maximumBytes) bytes")
            }
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw CommandFailure("the \(what) in `\(name)` is not text in UTF-8")
        }
        return text
    }

    static func write(_ text: String, to path: String) throws(CommandFailure) {
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw CommandFailure("cannot write `\(path)`: \(systemReason(errno))") }
        defer { close(descriptor) }
        try SecretFile.write(Array(text.utf8), to: descriptor, path: path)
    }
}
