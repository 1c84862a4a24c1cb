import CLinux
import Foundation
import Testing

@testable import Sandbox

/// A daemon that starts while a session runs goes on with it.
@Suite(.timeLimit(.minutes(1))) struct AdoptionTests {
    @Test func `another daemon hears that it runs, speaks to it, and hears how it ends`() async throws {
        let session = try AbandonedSession("trap 'exit 5' TERM; echo up; while :; do read line; done")
        let process = try session.adopt()
        var reports: [EnclosureReport] = []
        for await event in process.events {
            guard case .report(let report) = event else { continue }
            reports.append(report)
            if case .started = report { try process.send(.signal(SIGTERM)) }
        }
        guard case .started = reports.first else {
            Issue.record("it said \(reports)")
            return
        }
        #expect(reports.last == .exited(.code(5)))
        #expect(session.rendezvous.lastReport == .exited(.code(5)))
    }

    @Test func `a daemon with a longer path, and one after the other`() async throws {
        let session = try AbandonedSession(
            "read line; exit 6", folder: String(repeating: "long", count: 40))
        for _ in 0..<3 {
            let process = try session.adopt()
            for await event in process.events {
                if case .report(.started) = event { break }
            }
        }
        let last = try session.adopt()
        session.streams.write("go\n")
        var end: EnclosureReport?
        for await event in last.events { if case .report(let report) = event { end = report } }
        #expect(end == .exited(.code(6)))
    }

    @Test func `what ends while nobody listens leaves its status`() async throws {
        let session = try AbandonedSession("read line; exit 7")
        session.streams.write("go\n")
        session.awaitEnd()
        #expect(session.rendezvous.lastReport == .exited(.code(7)))
        #expect(throws: SandboxError.self) { try session.adopt() }
    }

    @Test func `a lease can be given by another daemon, and runs out`() async throws {
        let session = try AbandonedSession("trap '' TERM; sleep 1000")
        let process = try session.adopt()
        try process.send(.lease(.milliseconds(100)))
        var reports: [EnclosureReport] = []
        for await event in process.events { if case .report(let report) = event { reports.append(report) } }
        #expect(reports.last == .expired)
    }

    @Test func `another process with its id is not taken for it`() async throws {
        let session = try AbandonedSession("read line")
        #expect(throws: SandboxError.self) {
            try EnclosureProcess.adopt(
                pid: session.pid, startTime: session.startTime + 1, rendezvous: session.rendezvous)
        }
        session.streams.write("go\n")
        session.awaitEnd()
    }

    @Test func `a command that is run has neither the socket nor the file`() async throws {
        let session = try AbandonedSession("ls /proc/self/fd | tr '\\n' ' '; read line")
        let words = session.streams.readSome().split(separator: " ")
        // Its streams, and the directory that `ls` reads.
        #expect(words == ["0", "1", "2", "3"])
        session.streams.write("go\n")
        session.awaitEnd()
    }
}

/// A session whose daemon has gone.
private final class AbandonedSession {
    let rendezvous: Rendezvous
    let streams = Streams()
    let pid: Int32
    let startTime: UInt64
    private let folder: Folder
    private let pidfd: Int32

    init(_ script: String, folder name: String = "state") throws {
        folder = try Folder(owner: EnclosureRun.uid)
        let directory = folder.path + "/" + name
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
        rendezvous = Rendezvous(socket: directory + "/s.sock", ending: directory + "/s.end")
        let session = try Enclosure.launch(
            EnclosureRun(shell: script).specification(in: folder.path).encoded(), network: EnclosureRun.network,
            cgroup: nil, bounds: EnclosureRun.bounds, stdio: streams.inner, program: EnclosureRun.program(),
            rendezvous: rendezvous)
        streams.closeInner()
        pid = session.pid
        pidfd = dup(session.pidfd.number)
        startTime = try #require(EnclosureProcess.startTime(of: session.pid))
        _ = ControlSocket.send(EnclosureCommand.go.text, to: session.control.number)
        var hasStarted = false
        while !hasStarted {
            var waiting = pollfd(fd: session.control.number, events: Int16(POLLIN), revents: 0)
            guard unsafe poll(&waiting, 1, 20_000) == 1 else { throw SandboxError(.control, "it does not start") }
            guard case .text(let text) = ControlSocket.receive(from: session.control.number) else { continue }
            hasStarted = text.hasPrefix("started")
        }
    }

    func adopt() throws(SandboxError) -> EnclosureProcess {
        try EnclosureProcess.adopt(pid: pid, startTime: startTime, rendezvous: rendezvous)
    }

    /// As init does with what a dead daemon leaves.
    func awaitEnd() {
        var waiting = pollfd(fd: pidfd, events: Int16(POLLIN), revents: 0)
        _ = unsafe poll(&waiting, 1, 20_000)
        var ending = pt_ending()
        unsafe pt_pidfd_reap(pidfd, &ending)
    }

    deinit {
        close(pidfd)
        folder.remove()
    }
}
