import Mesh
import Testing

@testable import Sandbox

@Suite struct SessionProtocolTests {
    @Test(arguments: [.go, .signal(15), .signal(2), .lease(.seconds(900)), .end] as [EnclosureCommand])
    func `a command comes back from its text`(command: EnclosureCommand) {
        #expect(EnclosureCommand(command.text) == command)
    }

    @Test(
        arguments: [
            .ready, .started(pid: 2), .exited(.code(0)), .exited(.signal(9)), .expired, .lapsed,
            .failed(SandboxError(.mounts, "cannot mount on `/x`: no such file")),
        ] as [EnclosureReport])
    func `a report comes back from its text`(report: EnclosureReport) {
        #expect(EnclosureReport(report.text) == report)
    }

    @Test(arguments: [
        "", "go ", "Go", "signal", "signal 9", "signal 19", "signal -15", "lease 0", "lease -1", "lease 99999999999999",
        "end now",
    ])
    func `what is no command is none`(text: String) { #expect(EnclosureCommand(text) == nil) }

    @Test(arguments: [
        "", "started 1", "started x", "exited", "exited code 256", "exited code", "failed", "failed x: y",
    ])
    func `what is no report is none`(text: String) { #expect(EnclosureReport(text) == nil) }

    @Test func `any reason is one line that fits a message`() {
        let reason = String(repeating: "ü\n", count: 10_000)
        let text = EnclosureReport.failed(SandboxError(.mounts, reason)).text
        #expect(text.utf8.count <= EnclosureCommand.maximumLength)
        #expect(!text.contains("\n"))
    }

    @Test func `reports are believed in their order only`() {
        let told: [(EnclosureReport, Bool)] = [
            (.started(pid: 2), false), (.exited(.code(0)), false), (.ready, true), (.ready, false),
            (.started(pid: 2), true), (.lapsed, true), (.lapsed, true), (.exited(.code(0)), true), (.lapsed, false),
            (.exited(.code(1)), false),
            (.failed(SandboxError(.command, "late")), false),
        ]
        var progress = EnclosureProgress.preparing
        for (report, isBelieved) in told {
            let accepted = progress.accept(report)
            #expect(accepted == isBelieved, "\(report)")
        }
    }
}

@Suite struct SessionLifecycleTests {
    typealias Event = SessionLifecycle.Event
    typealias Action = SessionLifecycle.Action

    @Test(
        arguments: [
            (.command(.go), .start), (.command(.lease(.seconds(5))), .setDeadline(.seconds(5))),
            (.command(.signal(15)), .finish(.exited(.signal(15)), status: 143)),
            (.signal(2), .finish(.exited(.signal(2)), status: 130)),
            (.command(.end), .finish(.exited(.signal(9)), status: 137)),
            (.controlClosed, .finish(.exited(.signal(9)), status: 137)),
            (.deadline, .finish(.expired, status: 137)),
        ] as [(Event, Action)])
    func `while waiting`(event: Event, action: Action) {
        var session = SessionLifecycle()
        let taken = session.handle(event)
        #expect(taken == action)
    }

    @Test(
        arguments: [
            (.command(.go), .nothing), (.nonsense, .nothing), (.command(.signal(15)), .forward(15)),
            (.signal(1), .forward(1)),
            (.controlClosed, .stopListening), (.command(.end), .finish(.exited(.signal(9)), status: 137)),
            (.commandEnded(.code(7)), .finish(.exited(.code(7)), status: 7)),
            (.commandEnded(.signal(11)), .finish(.exited(.signal(11)), status: 139)),
            (.deadline, .finish(.expired, status: 137)), (.command(.lease(.seconds(5))), .setDeadline(.seconds(5))),
        ] as [(Event, Action)])
    func `while running`(event: Event, action: Action) {
        var session = SessionLifecycle()
        _ = session.handle(.command(.go))
        let taken = session.handle(event)
        #expect(taken == action)
    }

    @Test func `a command that outlives its lease is left alone, and waited for`() {
        var session = SessionLifecycle(outlivesLease: true)
        let events: [(Event, Action)] = [
            (.command(.go), .start), (.deadline, .lapse), (.command(.lease(.seconds(5))), .setDeadline(.seconds(5))),
            (.deadline, .lapse), (.command(.signal(2)), .forward(2)),
            (.commandEnded(.code(3)), .finish(.exited(.code(3)), status: 3)),
        ]
        for (event, action) in events {
            let taken = session.handle(event)
            #expect(taken == action)
        }
    }

    @Test func `what has not started does not outlive its lease`() {
        var session = SessionLifecycle(outlivesLease: true)
        let taken = session.handle(.deadline)
        #expect(taken == .finish(.expired, status: 137))
    }

    @Test func `after its end nothing happens`() {
        var session = SessionLifecycle()
        _ = session.handle(.deadline)
        for event in [Event.command(.go), .deadline, .commandEnded(.code(0))] {
            let taken = session.handle(event)
            #expect(taken == .nothing)
        }
    }

    @Test func `an unknown message before go ends the session unstarted`() {
        var session = SessionLifecycle()
        guard case .finish(.failed, status: 125) = session.handle(.nonsense) else {
            Issue.record("it went on")
            return
        }
    }
}

@Suite struct EnclosureSpecificationTests {
    @Test func `it comes back from its bytes`() throws {
        var run = EnclosureRun("echo", "a b", "ü")
        run.hosts = [HostsEntry(address: "fd00::1", names: ["x"])]
        let specification = try run.specification(in: "/tmp/job")
        #expect(try EnclosureSpecification.decoded(specification.encoded()) == specification)
    }

    @Test(
        arguments: [
            { $0.command = [] }, { $0.command = [""] }, { $0.command = ["a\u{0}b"] }, { $0.environment["A=B"] = "x" },
            { $0.environment["A"] = "\u{0}" }, { $0.timeToLive = .zero }, { $0.timeToLive = .seconds(1 << 40) },
            { $0.hosts = [HostsEntry(address: "10.0.0.1\n10.0.0.2", names: ["x"])] },
            { $0.hosts = [HostsEntry(address: "10.0.0.1", names: ["x\n127.0.0.1 y"])] },
            { $0.hosts = [HostsEntry(address: "10.0.0.1", names: [])] }, { $0.readOnlyPaths = ["../etc"] },
            { $0.readOnlyPaths = ["/opt/../run"] }, { $0.readOnlyPaths = ["/opt/./x"] },
            { $0.readOnlyPaths = ["/opt/"] }, { $0.readOnlyPaths = ["/opt//x"] },
        ] as [@Sendable (inout EnclosureRun) -> Void])
    func `what cannot be is refused`(change: @Sendable (inout EnclosureRun) -> Void) {
        var run = EnclosureRun("true")
        change(&run)
        #expect(throws: SandboxError.self) { try run.specification(in: "/tmp/job") }
    }

    @Test func `any damage to its bytes is an error or a checked value`() throws {
        let good = try EnclosureRun("echo", "x").specification(in: "/tmp/job").encoded()
        var generator = Seeded(state: 7)
        for _ in 0..<2000 {
            var bytes = good
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                bytes[Int.random(in: bytes.indices, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            bytes.removeLast(Int.random(in: 0...3, using: &generator))
            guard let read = try? EnclosureSpecification.decoded(bytes) else { continue }
            #expect(read.uid != 0 && read.gid != 0 && !read.command.isEmpty && read.workingDirectory.hasPrefix("/"))
        }
    }

    @Test func `a command too long for one specification is refused with its size`() throws {
        let run = EnclosureRun("echo", String(repeating: "x", count: EnclosureSpecification.maximumLength))
        let error = #expect(throws: SandboxError.self) { try run.specification(in: "/tmp/job").encoded() }
        #expect(error?.reason.contains("at most 262144 fit") == true)
    }

    @Test func `cgroup2 is found beside version 1 and alone`() {
        let hybrid = """
            31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw
            40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
            41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:3 - cgroup2 cgroup2 rw
            """
        #expect(Cgroup.mountPoint(in: hybrid) == "/sys/fs/cgroup/unified")
        #expect(Cgroup.mountPoint(in: "3 2 0:1 / /sys/fs/cg\\040x rw - cgroup2 none rw") == "/sys/fs/cg x")
        #expect(Cgroup.mountPoint(in: "3 2 0:1 /sub /sys/fs/cgroup rw - cgroup2 none rw") == nil)
        #expect(Cgroup.mountPoint(in: "garbage - \n - cgroup2") == nil)
    }
}

/// The same numbers at each run (SplitMix64).
struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        return mixed ^ mixed >> 31
    }
}
