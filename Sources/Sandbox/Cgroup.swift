import CLinux
import Foundation
import Mesh

/// One directory of the cgroup v2 tree, as a place for a session's processes.
///
/// The kernel owns it: a value of this type neither makes nor removes anything by itself.
package struct Cgroup: Equatable, Sendable {
    /// The directory, below the cgroup2 mount.
    package let path: String
    package init(path: String) { self.path = path }

    /// Where this machine has cgroup2 mounted: `/sys/fs/cgroup`, or `…/unified` beside version 1.
    package static func root() throws(SandboxError) -> Cgroup {
        guard let table = try? String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8),
            let path = mountPoint(in: table)
        else { throw SandboxError(.cgroup, "cgroup version 2 is not mounted on this machine") }
        return Cgroup(path: path)
    }

    /// The mount point of the whole cgroup2 tree in the text of proc(5) mountinfo.
    static func mountPoint(in table: String) -> String? {
        for line in table.split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard let dash = fields.firstIndex(of: "-"), dash >= 6, dash + 1 < fields.count,
                fields[dash + 1] == "cgroup2", fields[3] == "/"
            else { continue }
            return String(fields[4].replacing("\\040", with: " "))
        }
        return nil
    }

    /// The cgroup below this one: `root.child("postern/node-a").child(session)`.
    package func child(_ name: String) -> Cgroup { Cgroup(path: path + "/" + name) }

    /// The names of the cgroups right below it.
    package func children() throws(SandboxError) -> [String] {
        do {
            return try FileManager.default.contentsOfDirectory(atPath: path).filter {
                FileKind(path + "/" + $0) == .directory
            }
        } catch { throw SandboxError(.cgroup, "cannot look into the cgroup `\(path)`: \(error)") }
    }

    /// Makes this cgroup and what is missing above it.
    package func create() throws(SandboxError) {
        guard unsafe mkdir(path, 0o755) != 0, errno != EEXIST else { return }
        let parent = URL(filePath: path).deletingLastPathComponent().path(percentEncoded: false)
        guard errno == ENOENT, parent != "/", parent != path else {
            throw SandboxError(.cgroup, "cannot make the cgroup `\(path)`: \(errorText(errno))")
        }
        try Cgroup(path: parent.hasSuffix("/") ? String(parent.dropLast()) : parent).create()
        try system(unsafe mkdir(path, 0o755), .cgroup, "cannot make the cgroup `\(path)`")
    }

    /// The controllers that it has: some may be version 1's, or nobody's.
    package var controllers: Set<String> {
        let text = (try? String(contentsOfFile: path + "/cgroup.controllers", encoding: .utf8)) ?? ""
        return Set(text.split(whereSeparator: \.isWhitespace).map(String.init))
    }

    /// Whether any process is in it or below it.
    package func isPopulated() throws(SandboxError) -> Bool { try isPopulated(openEvents()) }

    /// Kills every process in it and below it (`cgroup.kill`, kernels from 5.14).
    package func kill() throws(SandboxError) {
        let file = Descriptor(owning: unsafe open(path + "/cgroup.kill", O_WRONLY | O_CLOEXEC))
        let written = file.number < 0 ? -1 : unsafe write(file.number, "1", 1)
        try system(Int32(written), .cgroup, "cannot kill the processes of the cgroup `\(path)`")
    }

    /// Kills what is left, waits at most `patience` for its end, and removes it with the cgroups below;
    /// one that is not there is no error.
    package func remove(patience: Duration = .seconds(2)) throws(SandboxError) {
        guard unsafe access(path, F_OK) == 0 else { return }
        try kill()
        try awaitEmptiness(patience)
        try removeTree()
    }

    /// Removes it when nothing is in it; says whether it is gone.
    @discardableResult
    package func removeIfEmpty() -> Bool { unsafe rmdir(path) == 0 || errno == ENOENT }

    private func openEvents() throws(SandboxError) -> Descriptor {
        let number = unsafe open(path + "/cgroup.events", O_RDONLY | O_CLOEXEC)
        return Descriptor(owning: try system(number, .cgroup, "cannot watch the cgroup `\(path)`"))
    }

    private func isPopulated(_ events: borrowing Descriptor) throws(SandboxError) -> Bool {
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = unsafe pread(events.number, &bytes, bytes.count, 0)
        try system(Int32(count), .cgroup, "cannot read the events of the cgroup `\(path)`")
        return !String(decoding: bytes[..<count], as: UTF8.self).split(separator: "\n").contains("populated 0")
    }

    private func awaitEmptiness(_ patience: Duration) throws(SandboxError) {
        let events = try openEvents()
        let deadline = ContinuousClock.now + patience
        while try isPopulated(events) {
            let left = (deadline - .now).milliseconds
            guard left > 0 else { throw SandboxError(.cgroup, "processes in the cgroup `\(path)` do not end") }
            // The kernel raises POLLPRI at a change since the last read of this descriptor.
            var waiting = pollfd(fd: events.number, events: Int16(POLLPRI), revents: 0)
            unsafe poll(&waiting, 1, Int32(clamping: left))
        }
    }

    private func removeTree() throws(SandboxError) {
        for name in (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [] {
            if FileKind(path + "/" + name) == .directory { try child(name).removeTree() }
        }
        guard unsafe rmdir(path) != 0, errno != ENOENT else { return }
        throw SandboxError(.cgroup, "cannot remove the cgroup `\(path)`: \(errorText(errno))")
    }
}
