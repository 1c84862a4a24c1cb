import Foundation
import Sandbox

/// What all sessions of a node together may take of its machine.
///
/// What they leave keeps the machine alive, with the daemon that ends them.
package struct SessionsBounds: Equatable, Sendable {
    /// In bytes, with their temporary files.
    package var memory: Int
    /// With threads.
    package var processes: Int

    /// Four fifths of the machine's memory, and half of the processes that it can have.
    package static var ofThisMachine: SessionsBounds {
        SessionsBounds(memory: machineMemory / 5 * 4, processes: machineProcesses / 2)
    }

    private static var machineMemory: Int { sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE)) }
    private static var machineProcesses: Int {
        ["pid_max", "threads-max"].compactMap { setting($0) }.min() ?? 32_768
    }

    private static func setting(_ name: String) -> Int? {
        (try? String(contentsOfFile: "/proc/sys/kernel/" + name, encoding: .utf8))
            .flatMap { Int($0.filter(\.isNumber)) }
    }
}

extension SessionsBounds {
    /// One session may have this many processes; fewer for all would be none for some.
    private static let fewestProcesses = 64
    private static let leastMemory = 64 << 20

    /// As they are given on a command line: memory as `6G`, `512M` or `75%`; nil is the machine's own.
    package init(memory: String?, processes: Int?) throws(NodeError) {
        self = .ofThisMachine
        if let memory {
            guard let bytes = Self.bytes(memory, of: Self.machineMemory), bytes >= Self.leastMemory else {
                throw NodeError(
                    "--sessions-memory is from 64M to the machine's \(Self.machineMemory >> 20)M, such as `6G` or `75%`, "
                        + "not `\(memory.prefix(40))`")
            }
            self.memory = bytes
        }
        guard let processes else { return }
        guard processes >= Self.fewestProcesses, processes <= Self.machineProcesses else {
            throw NodeError(
                "--sessions-processes is from \(Self.fewestProcesses) to the machine's \(Self.machineProcesses), "
                    + "not \(processes)")
        }
        self.processes = processes
    }

    /// At most the whole.
    static func bytes(_ text: String, of whole: Int) -> Int? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let count = Int(digits), count <= 1 << 20 else { return nil }
        let bytes: Int? =
            switch text.dropFirst(digits.count) {
            case "%": count <= 100 ? whole * count / 100 : nil
            case "M": count << 20
            case "G": count << 30
            default: nil
            }
        return bytes.flatMap { $0 <= whole ? $0 : nil }
    }
}

extension Cgroup {
    /// Makes it, if it is missing, and holds all sessions in it to their bounds, where the kernel can.
    func create(within bounds: SessionsBounds) throws(SandboxError) {
        try create()
        try bound(.memory, to: bounds.memory)
        try bound(.processes, to: bounds.processes)
    }
}
