import CLinux
import Foundation

/// Where a daemon that starts while a session runs finds it again.
///
///     the listener   the session takes each new connection in the place of the one before
///     the ending     a file that holds the session's last report, for when nobody heard it
///
/// Both are made by the daemon in a directory of its own and handed down: inside the session nobody can name them.
package struct Rendezvous: Equatable, Sendable {
    /// The path of the Unix socket.
    package let socket: String
    package let ending: String

    package init(socket: String, ending: String) { (self.socket, self.ending) = (socket, ending) }

    /// How the session ended, as it said itself; nil while it runs, and when it was killed.
    package var lastReport: EnclosureReport? {
        let file = Descriptor(owning: unsafe open(ending, O_RDONLY | O_CLOEXEC | O_NOFOLLOW))
        guard file.number >= 0, let bytes = readAll(file.number, limit: EnclosureCommand.maximumLength) else {
            return nil
        }
        return EnclosureReport(String(decoding: bytes, as: UTF8.self))
    }

    /// Removes both; what is not there is no error.
    package func remove() { for path in [socket, ending] { unsafe unlink(path) } }

    func listen() throws(SandboxError) -> Descriptor {
        unsafe unlink(socket)
        let listener = try Self.makeSocket()
        let bound = try unsafe withAddress { unsafe bind(listener.number, $0, $1) }
        try system(bound, .control, "cannot make `\(socket)`")
        try system(unsafe chmod(socket, 0o600), .control, "cannot protect `\(socket)`")
        try system(Glibc.listen(listener.number, 4), .control, "cannot listen on `\(socket)`")
        return listener
    }

    func connect() throws(SandboxError) -> Descriptor {
        let connection = try Self.makeSocket()
        let connected = try unsafe withAddress { unsafe Glibc.connect(connection.number, $0, $1) }
        try system(connected, .control, "cannot reach `\(socket)`")
        return connection
    }

    func makeEnding() throws(SandboxError) -> Descriptor {
        unsafe unlink(ending)
        let number = unsafe open(ending, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        return Descriptor(owning: try system(number, .control, "cannot make `\(ending)`"))
    }

    private static func makeSocket() throws(SandboxError) -> Descriptor {
        let type = Int32(SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let number = Glibc.socket(AF_UNIX, type, 0)
        return Descriptor(owning: try system(number, .control, "cannot make a control socket"))
    }

    /// An address has room for 107 bytes, and a path may be longer: its directory is named by a descriptor.
    private func withAddress(
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) throws(SandboxError) -> Int32 {
        let url = URL(filePath: socket)
        let folder = url.deletingLastPathComponent().path(percentEncoded: false)
        let directory = Descriptor(owning: unsafe open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC))
        try system(directory.number, .control, "cannot open `\(folder)`")
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let name = Array("/proc/self/fd/\(directory.number)/\(url.lastPathComponent)".utf8)
        guard name.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw SandboxError(.control, "the name of the socket `\(socket)` is too long")
        }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: name) }
        return unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}
