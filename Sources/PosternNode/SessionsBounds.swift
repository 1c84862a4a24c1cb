import Foundation
package import Sandbox

/// What sessions may take of a node's machine.
package struct SessionsBounds: Equatable, Sendable {
    /// All together: what they leave keeps the machine alive, with the daemon that ends them.
    package let all: CgroupBounds
    /// Each: where all have what they may, the kernel kills the largest process of any; so no session gets there alone.
    package let each: CgroupBounds

    /// Four fifths of the machine's memory and half of the processes that it can have; one session half of those.
    package static var ofThisMachine: SessionsBounds {
        SessionsBounds(all: CgroupBounds(memory: machineMemory / 5 * 4, processes: machineProcesses / 2))
    }

    private init(all: CgroupBounds, eachMemory: Int? = nil) {
        self.all = all
        each = CgroupBounds(
            memory: eachMemory ?? all.memory / 2, processes: min(Enclosure.mostProcesses, all.processes / 2))
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
    package init(memory: String?, eachMemory: String?, processes: Int?) throws(NodeError) {
        var all = Self.ofThisMachine.all
        if let memory { all.memory = try Self.memory(memory, "--sessions-memory", atMost: Self.machineMemory) }
        if let processes {
            guard processes >= Self.fewestProcesses, processes <= Self.machineProcesses else {
                throw NodeError(
                    "--sessions-processes is from \(Self.fewestProcesses) to the machine's \(Self.machineProcesses), "
                        + "not \(processes)")
            }
            all.processes = processes
        }
        let each = try eachMemory.map { text throws(NodeError) in
            try Self.memory(text, "--session-memory", atMost: all.memory)
        }
        self.init(all: all, eachMemory: each)
    }

    private static func memory(_ text: String, _ option: String, atMost most: Int) throws(NodeError) -> Int {
        guard let bytes = bytes(text, of: machineMemory), (leastMemory...most).contains(bytes) else {
            throw NodeError(
                "\(option) is from 64M to \(most >> 20)M here, such as `512M`, `6G` or `75%` of the machine's, "
                    + "not `\(text.prefix(40))`")
        }
        return bytes
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
