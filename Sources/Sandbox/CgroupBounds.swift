import CLinux
import Foundation

/// What a cgroup may take, with all below it.
package struct CgroupBounds: Equatable, Sendable {
    /// In bytes, with what is kept in temporary file systems.
    package var memory: Int
    /// With threads.
    package var processes: Int

    package init(memory: Int, processes: Int) { (self.memory, self.processes) = (memory, processes) }
}

extension Cgroup {
    /// Sets both bounds where the kernel can; says whether its processes are counted.
    @discardableResult
    package func hold(to bounds: CgroupBounds) throws(SandboxError) -> Bool {
        try bound(.memory, to: bounds.memory)
        return try bound(.processes, to: bounds.processes)
    }

    /// What of the machine a cgroup can bound, for itself with all below it.
    package enum Resource: String, Sendable {
        /// Processes and threads, so that no fork bomb takes the machine's.
        case processes = "pids"
        /// In bytes, with what is kept in temporary file systems.
        case memory
    }

    /// Bounds what its processes take of a resource; says whether the machine's tree has a controller for that.
    ///
    /// Where it has one, the bound stands or this throws: what was promised is not quietly left out.
    @discardableResult
    package func bound(_ resource: Resource, to most: Int) throws(SandboxError) -> Bool {
        guard let above, above[0].controllers.contains(resource.rawValue) else { return false }
        for cgroup in above { try cgroup.passOn(resource) }
        try Self.put(
            "\(most)", "\(path)/\(resource.rawValue).max", "cannot bound the \(resource) of the cgroup `\(path)`")
        return true
    }

    /// From the root of its tree down to its parent; nil for what stands in no tree.
    private var above: [Cgroup]? {
        let names = path.split(separator: "/")
        let parents = names.indices.map { Cgroup(path: "/" + names[..<$0].joined(separator: "/")) }
        let tree = parents.drop { unsafe access($0.path + "/cgroup.controllers", F_OK) != 0 }
        return tree.isEmpty ? nil : Array(tree)
    }

    /// A controller reaches a cgroup only through every one above it.
    private func passOn(_ resource: Resource) throws(SandboxError) {
        let file = path + "/cgroup.subtree_control"
        let passed = (try? String(contentsOfFile: file, encoding: .utf8)) ?? ""
        guard !passed.split(whereSeparator: \.isWhitespace).contains(Substring(resource.rawValue)) else { return }
        let name = resource.rawValue
        try Self.put("+\(name)", file, "cannot bound \(resource): the cgroup `\(path)` does not pass `\(name)` on")
    }

    private static func put(_ text: String, _ path: String, _ sentence: String) throws(SandboxError) {
        let file = Descriptor(owning: unsafe open(path, O_WRONLY | O_CLOEXEC))
        let written = file.number < 0 ? -1 : unsafe write(file.number, text, text.utf8.count)
        try system(Int32(written), .cgroup, sentence)
    }
}
