import Foundation
import Mesh

/// The sessions of this machine as its cgroups show them, for when no daemon says what they are:
/// `postern/DEVICE/SESSION` below where cgroup2 is mounted, and nobody but root makes them.
struct OrphanedSessions {
    private let root: String

    init(root: String) { self.root = root }

    init() throws(CommandFailure) {
        guard let table = try? String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8),
            let path = Self.mountPoint(in: table)
        else { throw CommandFailure("cgroup version 2 is not mounted on this machine, so no session runs here") }
        self.init(root: path)
    }

    /// Kills every process of a session (`cgroup.kill`, kernels from 5.14).
    func kill(_ id: SessionID) throws(CommandFailure) {
        guard let cgroup = cgroup(of: id) else {
            throw CommandFailure("there is no session `\(id)` on this machine")
        }
        do {
            let file = try FileHandle(forWritingTo: URL(filePath: cgroup + "/cgroup.kill"))
            try file.write(contentsOf: Data("1".utf8))
            try file.close()
        } catch { throw CommandFailure("cannot kill the processes of session `\(id)`: \(error.localizedDescription)") }
    }

    private func cgroup(of id: SessionID) -> String? {
        let nodes = (try? FileManager.default.contentsOfDirectory(atPath: root + "/postern")) ?? []
        return nodes.map { "\(root)/postern/\($0)/\(id)" }.first { FileManager.default.fileExists(atPath: $0) }
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
}
