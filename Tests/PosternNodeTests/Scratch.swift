import Foundation
import Glibc

/// A directory of a test's own, gone with it.
final class Scratch: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "postern-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ name: String, _ text: String) throws {
        try text.write(toFile: path(of: name), atomically: false, encoding: .utf8)
    }

    func read(_ name: String) throws -> String { try String(contentsOfFile: path(of: name), encoding: .utf8) }

    func makeDirectory(_ name: String, mode: mode_t, owner: uid_t = getuid()) throws {
        try check(unsafe mkdir(path(of: name), mode))
        try check(unsafe chown(path(of: name), owner, owner))
        try setMode(mode, of: name)
    }

    func link(_ name: String, to target: String) throws {
        try check(unsafe symlink(path(of: target), path(of: name)))
    }

    func setMode(_ mode: mode_t, of name: String) throws { try check(unsafe chmod(path(of: name), mode)) }

    /// The permissions of a file, or of a link itself.
    func mode(of name: String) throws -> mode_t {
        var status = stat()
        try check(unsafe lstat(path(of: name), &status))
        return status.st_mode & 0o7777
    }

    private func path(of name: String) -> String { path + "/" + name }

    private func check(_ result: Int32) throws {
        guard result == 0 else { throw TestError("cannot prepare a test: \(errno)") }
    }
}
