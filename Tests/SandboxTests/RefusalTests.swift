import CLinux
import Foundation
import Mesh
import Testing

@testable import Sandbox

/// A stream that no agent is given.
enum StreamKind: CaseIterable, Sendable {
    case internet, internet6, netlink, directory, tunnel, closed

    func open() -> Int32 {
        switch self {
        case .internet: socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        case .internet6: socket(AF_INET6, Int32(SOCK_DGRAM.rawValue), 0)
        case .netlink: socket(AF_NETLINK, Int32(SOCK_RAW.rawValue), 0)
        case .directory: unsafe Foundation.open("/tmp", O_RDONLY)
        case .tunnel: unsafe Foundation.open("/dev/net/tun", O_RDWR)
        case .closed: -1
        }
    }
}

/// What never starts.
@Suite(.timeLimit(.minutes(1))) struct RefusalTests {
    @Test(arguments: StreamKind.allCases)
    func `a stream that leads out is refused`(kind: StreamKind) throws {
        let descriptor = kind.open()
        defer { close(descriptor) }
        let null = unsafe open("/dev/null", O_RDWR)
        defer { close(null) }
        let error = #expect(throws: SandboxError.self) { try Enclosure.checkStdio([null, descriptor, null]) }
        #expect(error?.step == .descriptors)
        #expect(error?.reason.contains("standard output") == true)
    }

    @Test func `the daemon's own network is refused`() throws {
        let own = unsafe open("/proc/self/ns/net", O_RDONLY)
        defer { close(own) }
        let streams = Streams()
        let error = #expect(throws: SandboxError.self) {
            _ = try Enclosure.start(
                EnclosureRun("true").specification(in: "/tmp/x"), network: own, cgroup: nil, stdio: streams.inner,
                program: EnclosureRun.program())
        }
        #expect(error?.step == .network)
    }

    @Test(arguments: [
        "", "{}", "null", "[]", "{\"uid\":1}", String(repeating: "[", count: 100_000), "\u{0}\u{1}\u{2}",
        String(repeating: "a", count: EnclosureSpecification.maximumLength + 1),
    ])
    func `bytes that are no specification run nothing`(text: String) throws {
        let (message, end) = try launch([UInt8](text.utf8))
        #expect(message.hasPrefix("failed specification: the session's specification"))
        #expect(end == .code(125))
    }

    @Test(arguments: [("uid", "an agent may not run as root"), ("gid", "an agent may not run with root's group")])
    func `root is refused by the program itself`(field: String, sentence: String) throws {
        let folder = try Folder(owner: EnclosureRun.uid)
        defer { folder.remove() }
        let good = try String(decoding: EnclosureRun("true").specification(in: folder.path).encoded(), as: UTF8.self)
        let (message, end) = try launch([UInt8](good.replacing("\"\(field)\":65534", with: "\"\(field)\":0").utf8))
        #expect(message.hasPrefix("failed identity: \(sentence)"))
        #expect(end == .code(125))
    }

    @Test func `a directory of the system is refused, also by a link`() async throws {
        let folder = try Folder(owner: EnclosureRun.uid)
        defer { folder.remove() }
        unsafe symlink("/etc", folder.path + "/link")
        for path in ["/", "/etc", "/run", folder.path + "/link", "/tmp", "/proc/self"] {
            var run = EnclosureRun("true")
            run.workingDirectory = path
            let outcome = try await run.run()
            guard case .failed(let error)? = outcome.reports.first else {
                Issue.record("`\(path)` was taken")
                continue
            }
            #expect(error.step == .directory)
            #expect(error.reason.contains("cannot be an agent's working directory"))
            #expect(outcome.end == .code(125))
        }
    }

    @Test func `a directory that the agent could not reach outside is refused`() async throws {
        let folder = try Folder(owner: 0, mode: 0o700)
        defer { folder.remove() }
        unsafe mkdir(folder.path + "/open", 0o777)
        var run = EnclosureRun("true")
        run.workingDirectory = folder.path + "/open"
        guard case .failed(let error)? = try await run.run().reports.first else {
            Issue.record("it was given")
            return
        }
        #expect(
            error.reason == "cannot enter the working directory `\(folder.path)/open` as uid 65534: permission denied")
    }

    @Test func `the working directory is writable at its own path`() async throws {
        let folder = try Folder(owner: EnclosureRun.uid)
        defer { folder.remove() }
        var run = EnclosureRun(shell: "pwd; echo made > result")
        run.workingDirectory = folder.path
        #expect(try await run.run().output == folder.path + "\n")
        #expect(try String(contentsOfFile: folder.path + "/result", encoding: .utf8) == "made\n")
    }

    @Test func `run by hand it explains itself`() throws {
        for (arguments, status) in [([], 64), (["--help"], 0), (["--version"], 0), (["x"], 64)] as [([String], Int32)] {
            let process = Process()
            process.executableURL = URL(filePath: try EnclosureRun.program())
            process.arguments = arguments
            let output = Pipe()
            process.standardOutput = status == 0 ? output : nil
            process.standardError = status == 0 ? nil : output
            try process.run()
            process.waitUntilExit()
            #expect(process.terminationStatus == status)
            #expect(
                String(decoding: output.fileHandleForReading.availableData, as: UTF8.self).contains("postern-session"))
        }
    }

    private func launch(_ bytes: [UInt8]) throws -> (String, EnclosureExit?) {
        let streams = Streams()
        let session = try Enclosure.launch(
            bytes, network: EnclosureRun.network, cgroup: nil, stdio: streams.inner, program: EnclosureRun.program())
        guard case .text(let message) = nextMessage(session.control) else { return ("", nil) }
        return (message, wait(for: session.pidfd, milliseconds: 10_000))
    }
}

/// The rule of what may be shown.
@Suite struct ExposureTests {
    private let hidden = ["/srv/postern-state"]

    @Test(arguments: [
        "/", "/etc", "/etc/ssh", "/usr/local", "/run/user/1000", "/root", "/root/project", "/proc", "/dev/shm",
        "/var", "/var/lib", "/var/run/x", "/home", "/tmp", "/srv", "/srv/postern-state", "/srv/postern-state/x",
        "relative", "",
    ])
    func `a system's or a shared directory cannot be worked in`(path: String) {
        #expect(Exposure.refusal(ofWorkingDirectory: path, hidden: hidden) != nil)
    }

    @Test(arguments: [
        "/home/anna", "/home/anna/code", "/tmp/job", "/srv/app", "/var/lib/jenkins/job", "/runner", "/data",
    ])
    func `a directory of its own can`(path: String) {
        #expect(Exposure.refusal(ofWorkingDirectory: path, hidden: hidden) == nil)
    }

    @Test(arguments: ["/", "/run", "/run/docker.sock", "/proc", "/srv", "/srv/postern-state/key", "/var", "/dev/kvm"])
    func `sockets and state cannot be shown`(path: String) {
        #expect(Exposure.refusal(ofReadOnlyPath: path, hidden: hidden) != nil)
    }

    @Test(arguments: ["/opt/tool", "/opt", "/home/anna/.cargo", "/var/lib/models"])
    func `named directories can be shown`(path: String) {
        #expect(Exposure.refusal(ofReadOnlyPath: path, hidden: hidden) == nil)
    }
}
