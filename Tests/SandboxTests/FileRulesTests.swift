import CLinux
import Foundation
import Testing

@testable import Sandbox

/// What Landlock adds to the mounts.
@Suite(.timeLimit(.minutes(1))) struct FileRulesTests {
    @Test func `this kernel has it, and the command is under it`() async throws {
        try #require(FileRules.version >= FileRules.firstIsolating)
        // A ruleset of its own can be stacked; what is taken cannot be given back.
        let outcome = try await EnclosureRun(
            shell:
                "cat /usr/bin/env >/dev/null && echo read; echo x >/tmp/a && mkdir /tmp/d && mv /tmp/a /tmp/d/b && echo moved"
        ).run()
        #expect(outcome.lines == ["read", "moved"])
    }

    @Test(arguments: [(1, 13), (2, 14), (3, 15), (4, 15), (5, 16), (7, 16)])
    func `an older kernel hears of the rights that it knows`(version: Int32, count: Int) {
        #expect(FileRules.known(to: version) == 1 << count - 1)
    }

    @Test(arguments: [
        (
            O_RDONLY, "cat /dev/stdin; (echo more >>/proc/self/fd/0) 2>&1 | grep -o 'Permission denied'",
            "text\nPermission denied\n"
        ),
        (O_RDWR, "cat /dev/stdin; echo more >>/proc/self/fd/0; cat /dev/stdin", "text\ntext\nmore\n"),
        (
            O_WRONLY, "(cat /dev/stdin) 2>&1 | grep -o 'Permission denied'; echo more >/dev/stdin && echo done",
            "Permission denied\ndone\n"
        ),
    ])
    func `a file that was handed in is opened anew only as it was given`(
        mode: Int32, script: String, output: String
    ) async throws {
        let folder = try Folder(owner: EnclosureRun.uid)
        defer { folder.remove() }
        let path = folder.path + "/file"
        try "text\n".write(toFile: path, atomically: false, encoding: .utf8)
        unsafe chown(path, EnclosureRun.uid, EnclosureRun.uid)
        let file = unsafe open(path, mode)
        defer { close(file) }
        var run = EnclosureRun(shell: script)
        run.input = file
        #expect(try await run.run().output == output)
    }

    @Test func `a device that was handed in is opened anew`() async throws {
        let null = unsafe open("/dev/null", O_RDWR)
        defer { close(null) }
        var run = EnclosureRun(shell: "cat /dev/stdin && echo x >/dev/stdin && echo done")
        run.input = null
        #expect(try await run.run().output == "done\n")
    }

    @Test func `what a kernel lacks is said in sentences`() {
        #expect(Enclosure.shortcomings(landlock: 7, controllers: ["memory", "pids"]).isEmpty)
        #expect(Enclosure.shortcomings(landlock: 0, controllers: ["memory", "pids"]).count == 1)
        let all = Enclosure.shortcomings(landlock: 2, controllers: [])
        #expect(all.count == 3 && all[0].contains("version 2"))
        #expect(all[1].contains("`memory`") && all[2].contains("`pids`"))
    }
}

/// Root by name.
@Suite(.timeLimit(.minutes(1))) struct InnerRootTests {
    @Test func `uid 0 inside is the agent's uid outside, without a capability`() async throws {
        var run = EnclosureRun(
            shell: """
                id -u; id -g; grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status | tr '\\t' ' '
                cat /proc/self/uid_map | tr -s ' '; touch file $HOME/file /tmp/file && stat -c %u file
                (chown 1 file) 2>&1 | grep -o 'Invalid argument'; (hostname x) 2>&1 | grep -o 'must be root'
                kill -9 1 2>/dev/null || echo no kill; cat /proc/1/environ 2>/dev/null || echo no look
                setpriv --bounding-set +all true 2>/dev/null || echo no way back
                """)
        run.asRoot = true
        let folder = try Folder(owner: EnclosureRun.uid)
        defer { folder.remove() }
        run.workingDirectory = folder.path
        #expect(
            try await run.run().lines == [
                "0", "0", "CapEff: 0000000000000000", "CapBnd: 0000000000000000", "NoNewPrivs: 1", " 0 65534 1", "0",
                "Invalid argument", "must be root", "no kill", "no look", "no way back",
            ])
        var status = stat()
        #expect(unsafe stat(folder.path + "/file", &status) == 0 && status.st_uid == EnclosureRun.uid)
    }
}

/// How many processes there can be.
@Suite(.timeLimit(.minutes(1))) struct ProcessNumbersTests {
    @Test(arguments: [
        ("6.18.44-fc-v657", true), ("6.14.0", true), ("6.13.9", false), ("6.1.0-40-amd64", false), ("7.0-rc1", true),
        ("5.15", false), ("", false), ("x", false),
    ])
    func `the number is a namespace's own from Linux 6.14`(release: String, own: Bool) {
        #expect(ProcessNumbers.areTheNamespaces(inRelease: release) == own)
    }

    @Test func `a fork bomb stops at the bound, and the machine's own is as it was`() async throws {
        let machine = try String(contentsOfFile: "/proc/sys/kernel/pid_max", encoding: .utf8)
        let outcome = try await EnclosureRun(
            "/usr/bin/python3", "-c",
            """
            import os, signal, time
            count = 0
            try:
                while count < 6000:
                    if os.fork() == 0: signal.pause(); os._exit(0)
                    count += 1
            except OSError as error: print('stopped', 3000 < count < 4096)
            """
        ).run()
        #expect(outcome.lines == ["stopped True"])
        #expect(try String(contentsOfFile: "/proc/sys/kernel/pid_max", encoding: .utf8) == machine)
    }
}
