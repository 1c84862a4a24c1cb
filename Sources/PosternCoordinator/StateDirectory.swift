// As a whole: its C part may be who first reads the C library's headers, and then `stat` is seen with it alone.
import Foundation
import Glibc

/// Where a coordinator keeps what it must not lose: the CA, and beside it the database.
///
/// The CA's key has a file of its own, so that who copies the database cannot issue certificates.
package struct StateDirectory: Sendable {
    package let path: String

    package init(_ path: String) { self.path = path }

    package var caDirectory: String { "\(path)/ca" }
    package var caCertificate: String { "\(path)/ca/ca.pem" }
    package var caKey: String { "\(path)/ca/ca.key" }
    package var checkpoint: String { "\(path)/ca/checkpoint.json" }
    package var database: String { "\(path)/coordinator.sqlite" }
    /// The log of what happened, which `postern audit verify --state` reads too.
    package var audit: String { "\(path)/audit" }
    package var adminFile: String { "\(path)/admin.json" }
}

/// Why a file of the state directory could not be read or made.
package struct StateError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Operation: String, Sendable { case make, read, write }
    package let operation: Operation
    package let path: String
    package let reason: String
    package var description: String { "cannot \(operation) `\(path)`: \(reason)" }

    init(_ operation: Operation, _ path: String, _ reason: String) {
        (self.operation, self.path, self.reason) = (operation, path, reason)
    }

    init(_ operation: Operation, _ path: String, errno code: Int32) {
        self.init(operation, path, systemReason(code))
    }
}

/// What the system calls an error: `no such file or directory`.
func systemReason(_ code: Int32) -> String {
    let text = unsafe strerror(code).map { unsafe String(cString: $0) } ?? "error \(code)"
    return text.prefix(1).lowercased() + text.dropFirst()
}

/// Files for their owner only. Nothing that exists is ever overwritten.
enum PrivateFile {
    private static let maximumLength = 1 << 20

    /// Makes the directory, or takes an empty one that is there.
    static func makeDirectory(_ path: String) throws(StateError) {
        if unsafe mkdir(path, 0o700) == 0 { return }
        guard errno == EEXIST else { throw StateError(.make, path, errno: errno) }
        guard (try? FileManager.default.contentsOfDirectory(atPath: path))?.isEmpty == true else {
            throw StateError(.make, path, "something is there already, and it is not overwritten")
        }
        guard unsafe chmod(path, 0o700) == 0 else { throw StateError(.make, path, errno: errno) }
    }

    static func write(_ text: String, to path: String) throws(StateError) {
        try write(text, to: path, flags: O_EXCL)
    }

    /// A file that is written, and shall stand in the place of another.
    struct Replacement {
        let path: String
        fileprivate var temporary: String { "\(path).new" }

        /// Puts it there. After a crash there is the old file or the new one.
        consuming func commit() throws(StateError) {
            guard unsafe rename(temporary, path) == 0 else { throw StateError(.write, path, errno: errno) }
            let above = path.lastIndex(of: "/").map { path[...$0] } ?? "."
            let directory = unsafe open(String(above), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            guard directory >= 0 else { throw StateError(.write, path, errno: errno) }
            defer { close(directory) }
            guard fsync(directory) == 0 else { throw StateError(.write, path, errno: errno) }
        }

        consuming func cancel() { _ = unsafe unlink(temporary) }
    }

    /// Writes what shall replace a file, in full and onto the disk.
    static func prepare(_ text: String, for path: String) throws(StateError) -> Replacement {
        let replacement = Replacement(path: path)
        do { try write(text, to: replacement.temporary, flags: O_TRUNC) } catch {
            replacement.cancel()
            throw error
        }
        return replacement
    }

    private static func write(_ text: String, to path: String, flags: Int32) throws(StateError) {
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags, 0o600)
        guard descriptor >= 0 else { throw StateError(.write, path, errno: errno) }
        defer { close(descriptor) }
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw StateError(.write, path, errno: errno) }
            rest = rest.dropFirst(count)
        }
        guard fsync(descriptor) == 0 else { throw StateError(.write, path, errno: errno) }
    }

    /// Reads a file that nobody but its owner can read.
    static func readSecret(_ path: String) throws(StateError) -> String {
        try read(path) { descriptor throws(StateError) in
            var status = stat()
            guard unsafe fstat(descriptor, &status) == 0 else { throw StateError(.read, path, errno: errno) }
            guard status.st_mode & 0o077 == 0 else {
                throw StateError(.read, path, "it holds a secret and others can read it: chmod 600 \(path)")
            }
        }
    }

    static func read(
        _ path: String, if isFit: (_ descriptor: Int32) throws(StateError) -> Void = { _ in }
    ) throws(StateError) -> String {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw StateError(.read, path, errno: errno) }
        defer { close(descriptor) }
        try isFit(descriptor)
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = unsafe buffer.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw StateError(.read, path, errno: errno) }
            guard count > 0 else { break }
            bytes += buffer[..<count]
            guard bytes.count <= maximumLength else { throw StateError(.read, path, "it is too long") }
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw StateError(.read, path, "it is not text")
        }
        return text
    }

    static func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }
}
