import CLinux
import Foundation
import Mesh
import Testing

@testable import Sandbox

/// What the command is, and how it ends.
@Suite(.timeLimit(.minutes(1))) struct EnclosureCommandTests {
    @Test(arguments: [
        ("exit 0", EnclosureExit.code(0)), ("exit 7", .code(7)), ("kill -KILL $$", .signal(9)),
        ("kill -TERM $$", .signal(15)),
    ])
    func `the command's end is the session's end`(script: String, end: EnclosureExit) async throws {
        let outcome = try await EnclosureRun(shell: script).run()
        #expect(outcome.reports == [.ready, .started(pid: 2), .exited(end)])
        #expect(outcome.end == .code(end.status))
    }

    @Test(arguments: [("no-such-program", 127), ("/etc/hosts", 126), ("./missing", 127)])
    func `what cannot run ends as in a shell, with a sentence`(program: String, status: Int32) async throws {
        let outcome = try await EnclosureRun(program).run()
        guard case .failed(let error)? = outcome.reports.last else {
            Issue.record("\(outcome.reports)")
            return
        }
        #expect(error.step == .command)
        #expect(error.reason.contains("`\(program)`"))
        #expect(outcome.end == .code(status))
    }

    @Test func `the command has no capability and no way to one`() async throws {
        let outcome = try await EnclosureRun("cat", "/proc/self/status").run()
        let status = Dictionary(
            uniqueKeysWithValues: outcome.lines.compactMap { line -> (String, String)? in
                let parts = line.split(separator: ":", maxSplits: 1)
                return parts.count == 2
                    ? (String(parts[0]), parts[1].split(whereSeparator: \.isWhitespace).joined(separator: " ")) : nil
            })
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            #expect(status[set] == "0000000000000000", "\(set)")
        }
        #expect(status["NoNewPrivs"] == "1")
        #expect(status["Uid"] == "65534 65534 65534 65534")
        #expect(status["Gid"] == "65534 65534 65534 65534")
        #expect(status["Groups", default: ""] == "")
        #expect(status["SigBlk"] == "0000000000000000")
        #expect(status["SigIgn"] == "0000000000000000")
    }

    @Test func `the command sees the filtered environment and nothing else`() async throws {
        var run = EnclosureRun("/usr/bin/env")
        run.environment = EnvironmentFilter.allowed(["LANG": "C", "SECRET": "x", "PATH": "/usr/bin"])
        let outcome = try await run.run()
        #expect(Set(outcome.lines) == ["HOME=/home/agent", "LANG=C", "PATH=/usr/bin"])
    }

    @Test func `the command holds its three streams only`() async throws {
        let outcome = try await EnclosureRun(shell: "for n in $(seq 0 999); do [ -L /proc/$$/fd/$n ] && echo $n; done")
            .run()
        #expect(outcome.lines == ["0", "1", "2"])
    }

    @Test func `the command leads a session without a terminal, and leaves no core`() async throws {
        let outcome = try await EnclosureRun(
            shell: "cut -d' ' -f 1,5,6,7 /proc/$$/stat; (: </dev/tty) 2>/dev/null || echo no tty; ulimit -c; ulimit -Hc"
        ).run()
        #expect(outcome.lines == ["2 2 2 0", "no tty", "0", "0"])
    }

    @Test func `closing its output is seen outside while the command runs on`() async throws {
        var run = EnclosureRun(shell: "exec >&- 2>&-; read line; exit 3")
        run.during = { _, streams in
            #expect(streams.readToEnd() == "")
            streams.write("go on\n")
        }
        #expect(try await run.run().end == .code(3))
    }

    @Test func `orphans are reaped`() async throws {
        let script = """
            for i in 1 2 3 4 5 6 7 8 9; do ( : & ); done
            n=0; while [ $n -lt 5000 ] && grep -q '^State:.Z' /proc/[0-9]*/status 2>/dev/null; do n=$((n+1)); done
            grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l
            """
        #expect(try await EnclosureRun(shell: script).run().output == "0\n")
    }

    @Test func `python with its worker processes does not notice`() async throws {
        let script = """
            import multiprocessing, tempfile, socket, threading
            def square(n): return n * n
            if __name__ == '__main__':
                with tempfile.NamedTemporaryFile() as file, multiprocessing.Pool(3) as pool:
                    print(sum(pool.map(square, range(10))), socket.gethostname())
            """
        let folder = try Folder(owner: EnclosureRun.uid)
        defer { folder.remove() }
        try script.write(toFile: folder.path + "/pool.py", atomically: false, encoding: .utf8)
        var run = EnclosureRun("/usr/bin/python3", "pool.py")
        run.workingDirectory = folder.path
        let outcome = try await run.run()
        #expect(outcome.output == "285 tester\n")
        #expect(outcome.end == .code(0))
    }
}

/// What of the machine the command sees.
@Suite(.timeLimit(.minutes(1))) struct EnclosureViewTests {
    @Test func `a socket in the machine's tmp or run is not there`() async throws {
        let sockets = ["/tmp", "/run"].map { "\($0)/postern-\(UUID().uuidString).sock" }
        let listeners = sockets.map { UnixListener($0) }
        defer { for listener in listeners { listener.close() } }
        let checks = sockets.map { "test -e \($0) || echo gone" }.joined(separator: ";")
        let outcome = try await EnclosureRun(shell: "\(checks); ls -A /run /var; test -e /var/run || echo gone").run()
        #expect(outcome.lines == ["gone", "gone", "/run:", "/var:", "gone"])
    }

    @Test func `homes and state of the machine are empty`() async throws {
        let outcome = try await EnclosureRun(
            shell:
                "ls -A /root /srv /opt /mnt /var /home/agent | grep -v '^/' ; ls /home; ls -d /sys /boot /work 2>&1 | wc -l"
        ).run()
        #expect(outcome.lines == ["agent", "3"])
        #expect(outcome.output.contains("/work") == false)
    }

    @Test func `processes of the machine can be neither seen, signalled nor traced`() async throws {
        let host = getpid()
        let outcome = try await EnclosureRun(
            shell: """
                kill -0 \(host) 2>/dev/null || echo no signal
                cat /proc/\(host)/environ 2>/dev/null || echo no memory
                kill -KILL 1 2>/dev/null || echo no kill of the first process
                cat /proc/1/environ 2>/dev/null || echo no look at the first process
                ls -l /proc/1/root/ >/dev/null 2>&1 || echo no root of the first process
                """
        ).run()
        #expect(
            outcome.lines == [
                "no signal", "no memory", "no kill of the first process", "no look at the first process",
                "no root of the first process",
            ])
    }

    @Test func `names of the mesh are in hosts, and there is no resolver`() async throws {
        var run = EnclosureRun("cat", "/etc/hosts", "/etc/resolv.conf")
        run.hosts = [HostsEntry(address: "10.76.0.9", names: ["ledger", "ledger.acme.example"])]
        #expect(
            try await run.run().lines == [
                "127.0.0.1\tlocalhost tester", "::1\tlocalhost ip6-localhost ip6-loopback",
                "10.76.0.9\tledger ledger.acme.example", "# The names of the mesh are in /etc/hosts.",
            ])
    }

    @Test func `all but its own places is read-only`() async throws {
        let outcome = try await EnclosureRun("cat", "/proc/self/mountinfo").run()
        let options = Dictionary(
            outcome.lines.map { line in
                let fields = line.split(separator: " ")
                return (String(fields[4]), Set(fields[5].split(separator: ",").map(String.init)))
            }, uniquingKeysWith: { $1 })
        for path in ["/", "/usr", "/etc", "/etc/hosts", "/etc/resolv.conf", "/proc/sys", "/dev"] {
            #expect(options[path]?.contains("ro") == true, "\(path)")
        }
        for path in ["/", "/usr", "/etc", "/tmp", "/run", "/home/agent", "/dev/shm", "/proc"] {
            #expect(options[path]?.isSuperset(of: ["nosuid", "nodev"]) == true, "\(path)")
        }
        #expect(!outcome.output.contains("/sys rw") && options["/sys"] == nil)
    }

    @Test func `its own places can be written`() async throws {
        let outcome = try await EnclosureRun(
            shell:
                "for d in /tmp /dev/shm $HOME; do echo x > $d/f && cat $d/f; done; echo x >/dev/null; head -c1 /dev/zero | wc -c"
        ).run()
        #expect(outcome.lines == ["x", "x", "x", "1"])
    }

    @Test func `the network is the given one`() async throws {
        let outcome = try await EnclosureRun(shell: "ls /proc/self/ns/net -l; cat /proc/net/dev").run()
        var status = stat()
        #expect(unsafe fstat(EnclosureRun.network, &status) == 0)
        #expect(outcome.output.contains("net:[\(status.st_ino)]"))
        #expect(!outcome.output.contains("eth0"))
    }

    @Test func `a named path is shown read-only, others of its parent are not`() async throws {
        let folder = try Folder(owner: 0)
        defer { folder.remove() }
        for name in ["tool", "secret"] {
            try FileManager.default.createDirectory(atPath: "\(folder.path)/\(name)", withIntermediateDirectories: true)
            try "hello\n".write(toFile: "\(folder.path)/\(name)/text", atomically: false, encoding: .utf8)
        }
        try "hello\n".write(toFile: "\(folder.path)/file", atomically: false, encoding: .utf8)
        var run = EnclosureRun(shell: "cd \(folder.path); cat tool/text file; ls; (: >file) 2>&1 | grep -o Read-only")
        run.readOnlyPaths = ["\(folder.path)/tool", "\(folder.path)/file"]
        #expect(try await run.run().lines == ["hello", "hello", "file", "tool", "Read-only"])
    }

    @Test func `a named path inside the working directory stays read-only`() async throws {
        let folder = try Folder(owner: EnclosureRun.uid)
        defer { folder.remove() }
        unsafe mkdir(folder.path + "/tool", 0o777)
        var run = EnclosureRun(shell: "(: >tool/file) 2>&1 | grep -o Read-only; : >file && ls")
        run.workingDirectory = folder.path
        run.readOnlyPaths = [folder.path + "/tool"]
        #expect(try await run.run().lines == ["Read-only", "file", "tool"])
    }

    @Test func `a path below another is shown by that, and what every session has is not shown twice`() async throws {
        let folder = try Folder(owner: EnclosureRun.uid)
        defer { folder.remove() }
        unsafe mkdir(folder.path + "/inner", 0o755)
        let file = folder.path + "/inner/text"
        try "text\n".write(toFile: file, atomically: false, encoding: .utf8)
        var run = EnclosureRun(shell: "cat \(file); (: >\(file)) 2>&1 | grep -o Read-only; grep -c tester /etc/hosts")
        run.readOnlyPaths = [folder.path, folder.path + "/inner", file, "/etc", "/etc/hosts", "/usr/bin/env"]
        let outcome = try await run.run()
        #expect(outcome.lines == ["text", "Read-only", "1"], "\(outcome.reports)")
    }

    @Test func `a path deep inside the working directory cannot be moved away from under its name`() async throws {
        let folder = try Folder(owner: EnclosureRun.uid)
        defer { folder.remove() }
        let tool = folder.path + "/a/b/tool"
        try FileManager.default.createDirectory(atPath: tool, withIntermediateDirectories: true)
        for path in ["/a", "/a/b", "/a/b/tool"] {
            unsafe chown(folder.path + path, EnclosureRun.uid, EnclosureRun.uid)
        }
        var run = EnclosureRun(
            shell: """
                for d in a a/b a/b/tool; do mv $d ${d}2 2>&1 | grep -o busy; rmdir $d 2>&1 | grep -o busy; done
                (: >a/b/tool/file) 2>&1 | grep -o Read-only; : >a/file && : >a/b/file && mv a/file file && ls
                """)
        run.workingDirectory = folder.path
        run.readOnlyPaths = [tool]
        let outcome = try await run.run()
        #expect(outcome.lines.filter { $0 == "busy" }.count == 6, "\(outcome.output)")
        #expect(outcome.lines.suffix(3) == ["Read-only", "a", "file"])
        #expect(FileKind(tool + "/file") == nil && FileKind(folder.path + "/file") == .file)
    }

    @Test func `a link on the way to a path is named as what hinders`() async throws {
        let folder = try Folder(owner: 0)
        defer { folder.remove() }
        unsafe symlink("/opt", folder.path + "/link")
        var run = EnclosureRun("true")
        run.readOnlyPaths = [folder.path + "/link"]
        let error = SandboxError(
            .mounts,
            "cannot show `\(folder.path)/link` to the session: a link stands in it; name the path that it leads to")
        #expect(try await run.run().reports == [.failed(error)])
    }

    @Test func `a named device is there with its owner's rights, others are not`() async throws {
        var run = EnclosureRun(
            shell:
                "stat -c '%t %T' /dev/net/tun; (: >/dev/net/tun) 2>/dev/null && echo opened; ls /dev/net; test -e /dev/kmsg || echo gone"
        )
        run.devices = ["/dev/net/tun"]
        #expect(try await run.run().lines.first == "a c8")
        #expect(try await run.run().lines.suffix(2) == ["tun", "gone"])
    }

    @Test(arguments: [
        "/dev/tty", "/dev/shm", "/dev/missing", "/etc/hosts", "/dev/fd", "/dev/ptmx", "/dev/kmsg", "/dev/console",
    ])
    func `what is no harmless kind of device is refused`(path: String) async throws {
        var run = EnclosureRun("true")
        run.devices = [path]
        guard case .failed(let error)? = try await run.run().reports.first else {
            Issue.record("`\(path)` was given")
            return
        }
        #expect(error.step == .mounts && error.reason.contains("`\(path)`"))
    }

    @Test func `a path that is missing, a link or the daemon's own is refused`() async throws {
        let folder = try Folder(owner: 0)
        defer { folder.remove() }
        unsafe symlink("/etc", folder.path + "/link")
        for path in [folder.path + "/missing", folder.path + "/link", "/run", "/tmp", "/var/lib"] {
            var run = EnclosureRun("true")
            run.readOnlyPaths = [path]
            let outcome = try await run.run()
            guard case .failed(let error)? = outcome.reports.first else {
                Issue.record("`\(path)` was shown")
                continue
            }
            #expect(error.step == .mounts && error.reason.contains("`\(path)`"))
            #expect(outcome.end == .code(125))
        }
    }
}

/// A listening Unix socket at a path.
struct UnixListener {
    private let path: String
    private let descriptor: Int32

    init(_ path: String) {
        self.path = path
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
        let bound = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        precondition(bound == 0 && listen(descriptor, 1) == 0)
    }

    func close() {
        unlinkPath()
        Foundation.close(descriptor)
    }

    private func unlinkPath() { _ = unsafe unlink(path) }
}
