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

/// The bytes of a secret: a file that only its owner can read, or standard input for `-`.
func readSecretFile(_ path: String, upTo limit: Int) throws -> [UInt8] {
    let handle: FileHandle
    if path == "-" {
        handle = .standardInput
    } else {
        let attributes: [FileAttributeKey: Any]
        do { attributes = try FileManager.default.attributesOfItem(atPath: path) } catch {
            throw NodeError("cannot read `\(path)`: there is no such file, or it is not readable")
        }
        guard let mode = attributes[.posixPermissions] as? Int, mode & 0o077 == 0 else {
            throw NodeError("`\(path)` holds a secret and others may read it: run `chmod 600` on it")
        }
        guard let opened = FileHandle(forReadingAtPath: path) else { throw NodeError("cannot read `\(path)`") }
        handle = opened
    }
    return Array(try handle.read(upToCount: limit + 1) ?? Data())
}

func makeDirectory(_ path: String, mode: Int) throws {
    try FileManager.default.createDirectory(
        atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: mode])
}
