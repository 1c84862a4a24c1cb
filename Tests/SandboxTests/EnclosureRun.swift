import CLinux
import Foundation
import Mesh
import Testing

@testable import Sandbox

/// A real session of the real program, in a network namespace of its own.
struct EnclosureRun {
    static let uid: UInt32 = 65534
    static let bounds = CgroupBounds(memory: 1 << 30, processes: Enclosure.mostProcesses)

    var command: [String]
    var environment = EnvironmentFilter.allowed([:])
    var uid = Self.uid
    var asRoot = false
    var ownUID: UInt32?
    var userNamespaces = false
    var terminal: TerminalSize?
    /// In place of the command's standard input.
    var input: Int32?
    var workingDirectory: String?
    var hosts: [HostsEntry] = []
    var timeToLive = Duration.seconds(60)
    var readOnlyPaths: [String] = []
    var devices: [String] = []
    var cgroup: Cgroup?
    /// What to say to a session that is ready.
    var opening = EnclosureCommand.go
    /// Runs once the command has started; may talk to it by its streams.
    var during: (EnclosureProcess, Streams) throws -> Void = { _, _ in }

    init(_ command: String...) { self.command = command }
    init(shell script: String) { command = ["/bin/sh", "-c", script] }

    struct Outcome {
        var output: String
        var reports: [EnclosureReport]
        var end: EnclosureExit?
        var lines: [String] { output.split(separator: "\n").map(String.init) }
    }

    func run() async throws -> Outcome {
        let folder = try Folder(owner: Self.uid)
        defer { folder.remove() }
        let streams = Streams()
        let process = try Enclosure.start(
            specification(in: workingDirectory ?? folder.path), network: Self.network, cgroup: cgroup,
            bounds: Self.bounds,
            stdio: [input ?? streams.inner[0]] + streams.inner.dropFirst(), program: Self.program())
        streams.closeInner()
        var outcome = Outcome(output: "", reports: [])
        for await event in process.events {
            switch event {
            case .report(let report):
                outcome.reports.append(report)
                if report == .ready { try process.send(opening) }
                if case .started = report { try during(process, streams) }
            case .ended(let exit): outcome.end = exit
            }
        }
        outcome.output = streams.readToEnd()
        return outcome
    }

    func specification(in directory: String) throws(SandboxError) -> EnclosureSpecification {
        try EnclosureSpecification(
            session: SessionID(unchecked: String(repeating: "a", count: 32)), command: command,
            environment: environment, workingDirectory: directory, hosts: hosts, uid: uid, gid: Self.uid,
            hostName: "tester", timeToLive: timeToLive, readOnlyPaths: readOnlyPaths, devices: devices, asRoot: asRoot,
            ownUID: ownUID, userNamespaces: userNamespaces, terminal: terminal)
    }
}

// MARK: Surroundings

extension EnclosureRun {
    /// An empty network namespace, which lives as long as this process.
    static let network: Int32 = {
        var holder = Program(
            path: "/bin/sleep", arguments: ["sleep", "600"], environment: [:], directory: "/", descriptors: [])
        holder.newNamespaces = PT_CLONE_NEWNET
        guard let (pid, pidfd) = try? holder.start() else { return -1 }
        let namespace = unsafe open("/proc/\(pid)/ns/net", O_RDONLY | O_CLOEXEC)
        _ = pt_pidfd_signal(pidfd, SIGKILL)
        waitpid(pid, nil, 0)
        close(pidfd)
        return namespace
    }()

    /// The `postern-session` that was built beside these tests.
    static func program() throws -> String {
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        for start in CommandLine.arguments + [own] {
            var folder = URL(filePath: start).standardizedFileURL
            while folder.path().count > 1 {
                folder.deleteLastPathComponent()
                let candidate = folder.appending(path: "postern-session").path(percentEncoded: false)
                if FileKind(candidate) == .file { return candidate }
            }
        }
        throw SandboxError(.spawn, "`postern-session` was not built beside these tests")
    }
}

/// A new directory below /tmp that belongs to a uid.
struct Folder {
    let path: String

    init(owner: UInt32, mode: mode_t = 0o755) throws {
        path = "/tmp/postern-sandbox-\(UUID().uuidString)"
        guard unsafe mkdir(path, mode) == 0, unsafe chown(path, owner, owner) == 0 else {
            throw SandboxError(.directory, "cannot make `\(path)`")
        }
    }

    func remove() { try? FileManager.default.removeItem(atPath: path) }
}

/// The command's standard streams: input from a pipe of ours, output and errors into another.
final class Streams {
    private let input = Pipe()
    private let output = Pipe()

    var inner: [Int32] {
        let write = output.fileHandleForWriting.fileDescriptor
        return [input.fileHandleForReading.fileDescriptor, write, write]
    }

    func closeInner() {
        try? input.fileHandleForReading.close()
        try? output.fileHandleForWriting.close()
    }

    func write(_ text: String) { try? input.fileHandleForWriting.write(contentsOf: Data(text.utf8)) }

    /// What has come, once anything has.
    func readSome() -> String { String(decoding: output.fileHandleForReading.availableData, as: UTF8.self) }

    func readToEnd() -> String {
        String(decoding: (try? output.fileHandleForReading.readToEnd()) ?? Data(), as: UTF8.self)
    }
}
