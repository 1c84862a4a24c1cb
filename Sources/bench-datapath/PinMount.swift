import Foundation

/// A BPF file system for one run.
struct PinMount {
    let path = "/tmp/postern-bench-\(ProcessInfo.processInfo.processIdentifier)"

    init() throws {
        guard try run("mkdir", "-m", "700", path), try run("mount", "-t", "bpf", "-o", "mode=700", "bpf", path) else {
            throw BenchError("cannot mount a BPF file system at `\(path)`")
        }
    }

    func remove() {
        guard (try? run("umount", path)) == true, (try? run("rmdir", path)) == true else {
            return FileHandle.standardError.write(Data("bench-datapath: `\(path)` is left mounted\n".utf8))
        }
    }

    private func run(_ command: String...) throws -> Bool {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command
        try process.run()
        process.waitUntilExit()
        return process.terminationStatus == 0
    }
}
