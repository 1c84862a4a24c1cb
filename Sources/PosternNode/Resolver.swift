import Foundation
import Mesh

/// Tells systemd-resolved, where it runs, whom to ask for the names of the mesh.
///
/// What it is told holds for one device and goes with it.
struct Resolver: Sendable {
    /// Where systemd-resolved is when it runs, and the program that speaks to it.
    var socket = "/run/systemd/resolve/io.systemd.Resolve"
    var program = "/usr/bin/resolvectl"

    /// What to call, in order: the names of the mesh go to us, and all others go where they went.
    static func commands(device: String, server: IPv4Address, mesh: MeshDomain) -> [[String]] {
        [
            ["dns", device, server.description],
            ["domain", device, "~\(mesh)"],
            ["default-route", device, "false"],
        ]
    }

    var isThere: Bool {
        FileManager.default.fileExists(atPath: socket) && FileManager.default.isExecutableFile(atPath: program)
    }

    /// Blocks until all is told, for a thread of its own; nil when it worked.
    func tell(device: String, server: IPv4Address, mesh: MeshDomain) -> String? {
        for arguments in Self.commands(device: device, server: server, mesh: mesh) {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: program)
            process.arguments = arguments
            process.standardInput = FileHandle.nullDevice
            process.standardOutput = FileHandle.nullDevice
            process.standardError = FileHandle.nullDevice
            do { try process.run() } catch { return "cannot run `\(program)`: \(error)" }
            process.waitUntilExit()
            guard process.terminationStatus == 0 else {
                return "`\(program) \(arguments.joined(separator: " "))` failed with \(process.terminationStatus)"
            }
        }
        return nil
    }
}
