import Foundation
import WireGuard

/// What it takes to tell a device of 10,000 peers, and then of one more, against `wg setconf` and `wg addconf`.
///
///     bench-wireguard userspace     the time, with wireguard-go
///     bench-wireguard kernel        netlink messages and bytes; needs a kernel with WireGuard and nlmon
///
/// It exits with 1 when `wg` does better.
@main
struct Bench {
    static func main() {
        do {
            let isReached =
                switch CommandLine.arguments.dropFirst() {
                case ["userspace"]: try inOwnNamespace { try TimedBench(devices: $0).run() }
                case ["kernel"]: try inOwnNamespace { try CountedBench(devices: $0).run() }
                default: throw BenchError("usage: bench-wireguard userspace|kernel")
                }
            exit(isReached ? 0 : 1)
        } catch {
            FileHandle.standardError.write(Data("bench-wireguard: \(error)\n".utf8))
            exit(2)
        }
    }

    /// On a thread in a new network namespace, with a directory that goes afterwards.
    private static func inOwnNamespace(_ body: (_ directory: String) throws -> Bool) throws -> Bool {
        let directory = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
        defer { try? FileManager.default.removeItem(atPath: directory) }
        return try NetworkNamespace.create().enter { Result { try body(directory) } }.get()
    }
}

struct BenchError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
