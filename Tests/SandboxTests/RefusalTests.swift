import CLinux
import Foundation
import Mesh
import Testing

@testable import Sandbox

/// A stream that no agent is given.
enum StreamKind: CaseIterable, Sendable {
    case internet, internet6, netlink, directory, tunnel, closed, namespace, process, nameOnly, setting, memoryToRead
    case unixDatagram, unixDatagramPair, unixListener, unixUnconnected, unixPacketsUnconnected

    func open() -> Int32 {
        switch self {
        case .internet: socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        case .internet6: socket(AF_INET6, Int32(SOCK_DGRAM.rawValue), 0)
        case .netlink: socket(AF_NETLINK, Int32(SOCK_RAW.rawValue), 0)
        case .directory: unsafe Foundation.open("/tmp", O_RDONLY)
        case .tunnel: unsafe Foundation.open("/dev/net/tun", O_RDWR)
        case .closed: -1
        case .namespace: unsafe Foundation.open("/proc/self/ns/mnt", O_RDONLY)
        case .process: pt_pidfd_open(getpid())
        case .nameOnly: unsafe pt_open_place("/etc/hosts", true)
        case .setting: unsafe Foundation.open("/proc/self/oom_score_adj", O_RDWR)
        case .memoryToRead: Self.memory(mode: O_RDONLY)
        case .unixDatagram: socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        case .unixDatagramPair: Self.pair(SOCK_DGRAM)[0]
        case .unixListener: Self.listener()
        case .unixUnconnected: socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        case .unixPacketsUnconnected: socket(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue), 0)
        }
    }

    /// Memory without a name that holds a line, open in a mode.
    static func memory(mode: Int32) -> Int32 {
        let line = Array("line\n".utf8)
        let both = unsafe pt_memory_file(line, line.count)
        lseek(both, 0, SEEK_SET)
        guard mode != O_RDWR else { return both }
        defer { close(both) }
        return unsafe Foundation.open("/proc/self/fd/\(both)", mode)
    }

    static func pair(_ type: __socket_type) -> [Int32] {
        var ends: [Int32] = [-1, -1]
        unsafe socketpair(AF_UNIX, Int32(type.rawValue), 0, &ends)
        return ends
    }

    /// Bound to a name that the kernel chooses (autobind of unix(7)).
    private static func listener() -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr(sa_family: sa_family_t(AF_UNIX), sa_data: (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
        let length = socklen_t(MemoryLayout<sa_family_t>.size)
        guard unsafe bind(descriptor, &address, length) == 0, listen(descriptor, 1) == 0 else { return -1 }
        return descriptor
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

    @Test func `a stream says by what it would lead out`() {
        let sentences: [(StreamKind, String)] = [
            (.unixDatagram, "for datagrams"), (.unixDatagramPair, "for datagrams"),
            (.unixListener, "takes connections"), (.unixUnconnected, "not connected"),
            (.unixPacketsUnconnected, "not connected"), (.internet, "out of its network"),
            (.namespace, "a handle of a namespace"), (.nameOnly, "only the name"), (.setting, "is controlled"),
            (.memoryToRead, "seal it"),
        ]
        for (kind, sentence) in sentences {
            let descriptor = kind.open()
            defer { close(descriptor) }
            let error = #expect(throws: SandboxError.self) {
                try Enclosure.checkStdio([descriptor, descriptor, descriptor])
            }
            #expect(error?.reason.contains(sentence) == true, "\(kind): \(String(describing: error))")
        }
    }

    @Test func `a connected Unix stream is given, also one whose other end has gone`() throws {
        for type in [SOCK_STREAM, SOCK_SEQPACKET] {
            let ends = StreamKind.pair(type)
            defer { close(ends[0]) }
            try Enclosure.checkStdio([ends[0], ends[1], ends[0]])
            close(ends[1])
            try Enclosure.checkStdio([ends[0], ends[0], ends[0]])
        }
    }

    @Test func `memory without a name is given when it is open for both, and can be opened anew`() async throws {
        let memory = StreamKind.memory(mode: O_RDWR)
        defer { close(memory) }
        var run = EnclosureRun(shell: "cat; cat /dev/stdin")
        run.input = memory
        #expect(try await run.run().output == "line\nline\n")
    }

    @Test func `a setting of the kernel's is given to be read`() throws {
        let file = unsafe open("/proc/cpuinfo", O_RDONLY)
        defer { close(file) }
        try Enclosure.checkStdio([file, file, file])
    }

    @Test func `the daemon's own network is refused`() throws {
        let own = unsafe open("/proc/self/ns/net", O_RDONLY)
        defer { close(own) }
        let streams = Streams()
        let error = #expect(throws: SandboxError.self) {
            _ = try Enclosure.start(
                EnclosureRun("true").specification(in: "/tmp/x"), network: own, cgroup: nil,
                bounds: EnclosureRun.bounds, stdio: streams.inner,
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

    @Test func `a home, and what holds keys as one, is refused with what to do`() async throws {
        let folder = try Folder(owner: EnclosureRun.uid)
        defer { folder.remove() }
        unsafe mkdir(folder.path + "/.ssh", 0o700)
        unsafe mkdir(folder.path + "/code", 0o777)
        let (uid, home) = try #require(userWithHome())
        for (path, uid, sentence) in [
            (folder.path, EnclosureRun.uid, "it holds a `.ssh`, as a home does; use a directory below it"),
            (home, uid, "it is a home; use a directory below that"),
        ] {
            var run = EnclosureRun("true")
            run.workingDirectory = path
            run.uid = uid
            let outcome = try await run.run()
            let refusal = SandboxError(.directory, "`\(path)` cannot be an agent's working directory: \(sentence)")
            #expect(outcome.reports == [.failed(refusal)])
            #expect(outcome.end == .code(125))
        }
        var run = EnclosureRun("true")
        run.workingDirectory = folder.path + "/code"
        #expect(try await run.run().end == .code(0))
    }

    /// A user of this machine whose home would pass for a working directory were it not a home.
    private func userWithHome() -> (uid: UInt32, home: String)? {
        setpwent()
        defer { endpwent() }
        while let entry = unsafe getpwent() {
            let (uid, home) = unsafe (entry.pointee.pw_uid, String(cString: entry.pointee.pw_dir))
            guard uid != 0, FileKind(home) == .directory, Exposure.withTargets([home]) == [home, home],
                Exposure.refusal(ofWorkingDirectory: home, hidden: []) == nil
            else { continue }
            return (uid, home)
        }
        return nil
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
            bytes, network: EnclosureRun.network, cgroup: nil, bounds: EnclosureRun.bounds, stdio: streams.inner,
            program: EnclosureRun.program())
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

    @Test func `a home and all above it cannot be worked in, what is below it can`() {
        let refusal = { Exposure.refusal(ofHome: $0, homes: ["/data/home/anna"], holdsKeys: $1) }
        for path in ["/data/home/anna", "/data/home", "/data"] { #expect(refusal(path, false) != nil, "\(path)") }
        for path in ["/data/home/anna/code", "/data/home/ann", "/srv/app"] {
            #expect(refusal(path, false) == nil, "\(path)")
            #expect(refusal(path, true) != nil, "\(path)")
        }
    }

    @Test func `a link to what is hidden hides its target too`() throws {
        let folder = try Folder(owner: 0)
        defer { folder.remove() }
        unsafe mkdir(folder.path + "/state", 0o755)
        unsafe symlink("state", folder.path + "/link")
        let hidden = Exposure.withTargets([folder.path + "/link", folder.path + "/missing"])
        #expect(hidden == [folder.path + "/link", folder.path + "/missing", folder.path + "/state"])
        #expect(Exposure.refusal(ofReadOnlyPath: folder.path + "/state/key", hidden: hidden) != nil)
    }

    @Test(arguments: [
        "/", "/run", "/run/docker.sock", "/proc", "/srv", "/srv/postern-state/key", "/var", "/dev/kvm", "/home",
        "/home/agent",
    ])
    func `sockets and state cannot be shown`(path: String) {
        #expect(Exposure.refusal(ofReadOnlyPath: path, hidden: hidden) != nil)
    }

    @Test(arguments: ["/opt/tool", "/opt", "/home/anna/.cargo", "/var/lib/models"])
    func `named directories can be shown`(path: String) {
        #expect(Exposure.refusal(ofReadOnlyPath: path, hidden: hidden) == nil)
    }
}
