import ArgumentParser
import Foundation
import Mesh
import PosternNode

/// Runs a command's work; an error becomes one sentence on standard error and exit code 1.
func reportingErrors(_ work: () async throws -> Void) async throws {
    do { try await work() } catch let exit as ExitCode { throw exit } catch {
        FileHandle.standardError.write(Data("posternd: \(error)\n".utf8))
        throw ExitCode(1)
    }
}

func wallClock() -> Timestamp { Timestamp(rawValue: Int64(Date().timeIntervalSince1970 * 1000)) }

/// A program in the folder of this one.
func programBeside(_ name: String) throws -> String {
    let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    let path = URL(fileURLWithPath: own).deletingLastPathComponent().appendingPathComponent(name).path
    guard FileManager.default.isExecutableFile(atPath: path) else {
        throw NodeError("`\(path)` is missing: install it beside posternd, or name it with --session-program")
    }
    return path
}

func makeDirectory(_ path: String, mode: Int) throws {
    try FileManager.default.createDirectory(
        atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: mode])
}
