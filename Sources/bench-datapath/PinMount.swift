import Foundation

/// A BPF file system for one run.
struct PinMount {
    let path = "/tmp/postern-bench-\(ProcessInfo.processInfo.processIdentifier)"

    init() throws {
        try run(["mkdir", "-m", "700", path])
        try run(["mount", "-t", "bpf", "-o", "mode=700", "bpf", path])
    }

    func remove() {
        do {
            try run(["umount", path])
            try run(["rmdir", path])
        } catch { FileHandle.standardError.write(Data("bench-datapath: `\(path)` is left mounted\n".utf8)) }
    }
}
