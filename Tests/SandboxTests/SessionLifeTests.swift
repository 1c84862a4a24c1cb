import CLinux
import Foundation
import Mesh
import Testing

@testable import Sandbox

/// How a session is started, stopped and left alone.
@Suite(.timeLimit(.minutes(1))) struct SessionLifeTests {
    @Test func `SIGTERM reaches the command's group`() async throws {
        var run = EnclosureRun(shell: "trap 'echo caught; exit 5' TERM; echo up; while :; do read line; done")
        run.during = { process, streams in
            #expect(streams.readSome() == "up\n")
            try process.send(.signal(SIGTERM))
        }
        let outcome = try await run.run()
        #expect(outcome.output == "caught\n")
        #expect(outcome.end == .code(5))
    }

    @Test func `end kills a command that ignores signals, and its children`() async throws {
        var run = EnclosureRun(shell: "trap '' TERM INT HUP; sleep 1000 & echo up; wait")
        run.during = { process, streams in
            #expect(streams.readSome() == "up\n")
            try process.send(.end)
        }
        let outcome = try await run.run()
        #expect(outcome.reports.last == .exited(.signal(SIGKILL)))
        #expect(outcome.end == .code(137))
    }

    @Test func `before go nothing has run, and a signal ends the session`() async throws {
        let folder = try Folder(owner: EnclosureRun.uid)
        defer { folder.remove() }
        var run = EnclosureRun("touch", "ran")
        run.workingDirectory = folder.path
        run.opening = .signal(SIGINT)
        let outcome = try await run.run()
        #expect(outcome.end == .code(130))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [])
    }

    @Test func `what it is given to hold stays open until others come, or it ends, and is not the command's`()
        async throws
    {
        let (first, second) = (Pipe(), Pipe())
        var run = EnclosureRun(shell: "ls /proc/self/fd | wc -l; read line; exit 3")
        run.during = { process, streams in
            for pipe in [first, second] {
                try process.send(.hold, with: [pipe.fileHandleForWriting.fileDescriptor])
                try pipe.fileHandleForWriting.close()
            }
            // The end of what was let go comes while the session lives.
            #expect(try first.fileHandleForReading.readToEnd() == nil)
            var waiting = pollfd(fd: second.fileHandleForReading.fileDescriptor, events: Int16(POLLIN), revents: 0)
            #expect(unsafe poll(&waiting, 1, 0) == 0)
            streams.write("\n")
        }
        let outcome = try await run.run()
        #expect(outcome.end == .code(3))
        // The three streams, and the directory that is read.
        #expect(outcome.lines == ["4"])
        #expect(try second.fileHandleForReading.readToEnd() == nil)
    }

    @Test func `killing the first process ends all`() async throws {
        var run = EnclosureRun(shell: "sleep 1000 & echo up; wait")
        run.during = { process, streams in
            _ = streams.readSome()
            try process.kill()
        }
        #expect(try await run.run().end == .signal(SIGKILL))
    }

    @Test func `its time ends a session`() async throws {
        var run = EnclosureRun(shell: "trap '' TERM; sleep 1000")
        run.during = { process, _ in try process.send(.lease(.milliseconds(100))) }
        let outcome = try await run.run()
        #expect(outcome.reports.last == .expired)
        #expect(outcome.end == .code(137))
    }

    @Test func `a longer lease lets it live`() async throws {
        var run = EnclosureRun(shell: "sleep 0.6; exit 4")
        run.during = { process, _ in
            try process.send(.lease(.milliseconds(300)))
            try process.send(.lease(.seconds(60)))
        }
        #expect(try await run.run().end == .code(4))
    }

    @Test func `with the daemon gone it goes on, until its time ends it`() throws {
        let folder = try Folder(owner: EnclosureRun.uid)
        defer { folder.remove() }
        let streams = Streams()
        let run = EnclosureRun(shell: "read line; echo alive; sleep 1000")
        let pidfd = try beginAndAbandon(run, in: folder, streams)
        streams.write("hello\n")
        #expect(streams.readSome() == "alive\n")
        #expect(wait(for: pidfd, milliseconds: 10_000) == EnclosureExit.code(137))
    }

    @Test func `before go the daemon's end is the session's`() throws {
        let folder = try Folder(owner: EnclosureRun.uid)
        defer { folder.remove() }
        let streams = Streams()
        let session = try Enclosure.launch(
            EnclosureRun("true").specification(in: folder.path).encoded(), network: EnclosureRun.network,
            cgroup: nil, bounds: EnclosureRun.bounds, stdio: streams.inner, program: EnclosureRun.program())
        #expect(nextMessage(session.control) == .text("ready"))
        #expect(shutdown(session.control.number, Int32(SHUT_RDWR)) == 0)
        #expect(wait(for: session.pidfd, milliseconds: 10_000) == EnclosureExit.code(137))
    }

    @Test func `at the end its cgroup is empty and can go`() async throws {
        let parent = try Cgroup.root().child("postern-test-\(UUID().uuidString)")
        let cgroup = parent.child("node/session")
        try cgroup.create()
        var run = EnclosureRun(
            shell: "sleep 1000 & setsid sleep 1000 & cat /proc/self/cgroup | grep '^0:'; echo up; read x")
        run.cgroup = cgroup
        run.during = { _, streams in
            let isPopulated = try cgroup.isPopulated()
            #expect(isPopulated)
            streams.write("\n")
        }
        let outcome = try await run.run()
        #expect(outcome.lines == ["0::/", "up"])
        #expect(try !cgroup.isPopulated())
        #expect(cgroup.removeIfEmpty())
        try parent.remove()
        #expect(FileKind(parent.path) == nil)
    }

    @Test func `killing the cgroup ends a session and its removal is complete`() async throws {
        let cgroup = try Cgroup.root().child("postern-test-\(UUID().uuidString)")
        try cgroup.create()
        var run = EnclosureRun(shell: "sleep 1000 & echo up; wait")
        run.cgroup = cgroup
        run.during = { _, streams in
            _ = streams.readSome()
            try cgroup.remove()
        }
        #expect(try await run.run().end == .signal(SIGKILL))
        #expect(FileKind(cgroup.path) == nil)
    }

    /// Starts a session's command, then closes the control socket, as the kernel does when the daemon dies.
    private func beginAndAbandon(_ run: EnclosureRun, in folder: Folder, _ streams: Streams) throws -> Descriptor {
        let session = try Enclosure.launch(
            run.specification(in: folder.path).encoded(), network: EnclosureRun.network, cgroup: nil,
            bounds: EnclosureRun.bounds,
            stdio: streams.inner, program: EnclosureRun.program())
        streams.closeInner()
        #expect(nextMessage(session.control) == .text("ready"))
        #expect(ControlSocket.send("go", to: session.control.number) == 2)
        #expect(nextMessage(session.control) == .text("started 2"))
        #expect(ControlSocket.send("lease 1500", to: session.control.number) == 10)
        let pidfd = Descriptor(owning: dup(session.pidfd.number))
        _ = consume session
        return pidfd
    }
}

func nextMessage(_ control: borrowing Descriptor) -> ControlSocket.Message {
    var waiting = pollfd(fd: control.number, events: Int16(POLLIN), revents: 0)
    unsafe poll(&waiting, 1, 10_000)
    return ControlSocket.receive(from: control.number)
}

func wait(for pidfd: borrowing Descriptor, milliseconds: Int32) -> EnclosureExit? {
    var waiting = pollfd(fd: pidfd.number, events: Int16(POLLIN), revents: 0)
    var ending = pt_ending()
    guard unsafe poll(&waiting, 1, milliseconds) == 1, unsafe pt_pidfd_reap(pidfd.number, &ending) == 0 else {
        return nil
    }
    return EnclosureExit(ending)
}
