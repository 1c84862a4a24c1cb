import CoordinationAPI
import Foundation
import Glibc
import Mesh
import Synchronization
import Testing

@testable import PosternCLI

@Suite struct FrameReaderTests {
    @Test func `frames come whole, however the bytes come`() throws {
        let frames = try LocalFrame.encode(LocalResponse.notice("a")) + LocalFrame.encode(LocalResponse.up)
        var reader = FrameReader()
        var answers: [LocalResponse] = []
        for byte in frames {
            reader.append([byte])
            while let body = try reader.next() { answers.append(try JSON.decode(LocalResponse.self, from: body)) }
        }
        #expect(answers == [.notice("a"), .up])
    }

    @Test func `a length past the bound is refused at its first bytes`() {
        var reader = FrameReader()
        reader.append([0, 0x10, 0, 1])
        #expect(throws: MessageError.self) { try reader.next() }
    }
}

@Suite struct LocalTests {
    @Test func `status asks and shows`() async throws {
        let status = try Sample.status()
        let node = try FakeNode { caller in
            caller.send(caller.request == .status ? .status(status) : .failed("what?"))
        }
        let recorder = Recorder()
        #expect(await recorder.postern(["status", "--json", "--socket", node.path]) == 0)
        #expect(try JSON.decode(NodeStatus.self, from: Array(recorder.output.utf8)) == status)
        #expect(recorder.errors.isEmpty)
    }

    @Test(arguments: [(true, 0), (false, 2)] as [(Bool, Int32)])
    func `why ends with its answer`(allowed: Bool, code: Int32) async throws {
        let node = try FakeNode { caller in
            let expected = LocalRequest.why(
                agent: Sample.agent, action: "connect", service: ServiceName(unchecked: "ledger"))
            guard caller.request == expected else { return caller.send(.failed("what?")) }
            caller.send(.explanation(Explanation(allowed: allowed, text: "because\u{1B}[2J", policies: [])))
        }
        let recorder = Recorder()
        #expect(
            await recorder.postern(["why", "--agent", "writer", "connect", "ledger", "--socket", node.path]) == code)
        #expect(recorder.output == "because\u{FFFD}[2J\n")
        #expect(recorder.errors.isEmpty)
    }

    @Test func `a refusal is the node's own sentence`() async throws {
        let node = try FakeNode { $0.send(.failed("only root may ask\u{07}")) }
        let recorder = Recorder()
        #expect(await recorder.postern(["status", "--socket", node.path]) == 1)
        #expect(recorder.errors == "postern: only root may ask\u{FFFD}\n")
    }

    @Test(
        arguments: [
            ([], "hung up without an answer"), ([0, 0, 0], "hung up without an answer"),
            ([0, 0, 0, 9, 1], "hung up without an answer"),
            ([255, 255, 255, 255], "cannot be read: the message is longer"),
            ([0, 0, 0, 0], "cannot be read"), ([0, 0, 0, 2] + Array("{}".utf8), "cannot be read"),
            ([0, 0, 0, 4, 0xFF, 0, 0xFE, 1], "cannot be read"),
            ([0, 0, 0, 9] + Array(#"{"up":{}}"#.utf8), "to another question"),
        ] as [([UInt8], String)])
    func `nonsense from the socket is an error and no crash`(bytes: [UInt8], words: String) async throws {
        let node = try FakeNode { $0.send(bytes) }
        let recorder = Recorder()
        #expect(await recorder.postern(["status", "--socket", node.path]) == 1)
        #expect(recorder.errors.contains(words), "\(recorder.errors)")
        #expect(recorder.output.isEmpty)
    }

    @Test func `a node that is not there is asked for`() async throws {
        let folder = try TemporaryFolder()
        let recorder = Recorder()
        let path = folder.path + "/none.sock"
        #expect(await recorder.postern(["status", "--socket", path]) == 1)
        #expect(recorder.errors == "postern: posternd does not answer at `\(path)`: is it running?\n")
    }

    @Test func `a path too long for a socket is refused`() async {
        let recorder = Recorder()
        #expect(await recorder.postern(["status", "--socket", String(repeating: "a", count: 200)]) == 1)
        #expect(recorder.errors.contains("too long"))
    }
}

/// One at a time: signals are the process's.
@Suite(.serialized) struct RunTests {
    /// What is said of the directory that the tests run in.
    private let warning =
        LaterRun.warning(in: FileManager.default.currentDirectoryPath).map { "postern: \($0)\n" } ?? ""

    @Test func `run sends the command with the three standard descriptors`() async throws {
        let node = try FakeNode { caller in
            guard case .run(let request) = caller.request, request.command == ["id", "-u"], request.user == 1000,
                request.agent == Sample.agent, request.directory == FileManager.default.currentDirectoryPath,
                request.environment["PATH"] == ProcessInfo.processInfo.environment["PATH"],
                caller.descriptors.count == 3, request.kill,
                zip(caller.descriptors, 0...2).allSatisfy({ isatty($1) == 1 || isSameFile($0, $1) })
            else { return caller.send(.failed("what?")) }
            caller.send(.started(Sample.session))
            caller.send(.notice("node-c did not confirm\u{1B}"))
            caller.send(.exited(code: 7))
        }
        let recorder = Recorder()
        let code = await recorder.postern([
            "run", "--agent", "writer", "--user", "1000", "--socket", node.path, "--", "id", "-u",
        ])
        #expect(code == 7)
        #expect(
            recorder.errors == warning + "postern: session \(Sample.session)\npostern: node-c did not confirm\u{FFFD}\n"
        )
        #expect(recorder.output.isEmpty)
    }

    @Test(arguments: [("--kill", true), ("--no-kill", false)])
    func `whether the command is killed at the end is for the caller to say`(option: String, kill: Bool) async throws {
        let node = try FakeNode { caller in
            guard case .run(let request) = caller.request, request.kill == kill else { return }
            caller.send(.exited(code: 0))
        }
        let recorder = Recorder()
        #expect(await recorder.postern(["run", "--agent", "a", option, "--socket", node.path, "--", "id"]) == 0)
    }

    @Test(
        arguments: [
            ([.failed("agent `writer` may not run here")], "agent `writer` may not run here\n"),
            ([], "posternd hung up before the command ran"),
            ([.up], "to another question"),
        ] as [([LocalResponse], String)])
    func `a command that was refused or lost ends with 125`(answers: [LocalResponse], words: String) async throws {
        let node = try FakeNode { caller in
            for answer in answers { caller.send(answer) }
        }
        let recorder = Recorder()
        #expect(await recorder.postern(["run", "--agent", "writer", "--socket", node.path, "--", "id"]) == 125)
        #expect(recorder.errors.contains(words), "\(recorder.errors)")
    }

    @Test func `a session is heard of again when the daemon is back`() async throws {
        let callers = Mutex(0)
        let node = try FakeNode(callers: 3) { caller in
            let number = callers.withLock { count in
                count += 1
                return count
            }
            switch (number, caller.request) {
            case (1, .run): caller.send(.started(Sample.session))
            case (2, .attach(Sample.session)): break
            case (3, .attach(Sample.session)):
                caller.send(.started(Sample.session))
                caller.send(.exited(code: 42))
            default: caller.send(.failed("what?"))
            }
        }
        let recorder = Recorder()
        #expect(await recorder.postern(["run", "--agent", "writer", "--socket", node.path, "--", "id"]) == 42)
        #expect(
            recorder.errors == warning + """
                postern: session \(Sample.session)
                postern: posternd has gone; session \(Sample.session) runs on, and this waits for it to come back
                postern: posternd is back

                """)
    }

    @Test func `a session that is not there any more is lost`() async throws {
        let callers = Mutex(0)
        let node = try FakeNode(callers: 2) { caller in
            let isFirst = callers.withLock { count in
                count += 1
                return count == 1
            }
            caller.send(isFirst ? .started(Sample.session) : .failed("there is no such session"))
        }
        let recorder = Recorder()
        #expect(await recorder.postern(["run", "--agent", "writer", "--socket", node.path, "--", "id"]) == 125)
        #expect(recorder.errors.hasSuffix("postern: there is no such session\n"))
    }

    @Test func `a signal reaches the command by the daemon that is back`() async throws {
        let callers = Mutex(0)
        let node = try FakeNode(callers: 2) { caller in
            let isFirst = callers.withLock { count in
                count += 1
                return count == 1
            }
            caller.send(.started(Sample.session))
            guard !isFirst else { return }
            sendToSelf(SIGTERM)
            caller.send(.exited(code: caller.next() == .signal(SIGTERM) ? 143 : 1))
        }
        let recorder = Recorder()
        #expect(await recorder.postern(["run", "--agent", "writer", "--socket", node.path, "--", "id"]) == 143)
    }

    @Test(arguments: SignalQueue.forwarded)
    func `a signal goes to the command and not to us`(signal: Int32) async throws {
        let node = try FakeNode { caller in
            caller.send(.started(Sample.session))
            sendToSelf(signal)
            caller.send(.exited(code: caller.next() == .signal(signal) ? 128 + signal : 1))
        }
        let recorder = Recorder()
        let code = await recorder.postern(["run", "--agent", "writer", "--socket", node.path, "--", "id"])
        #expect(code == 128 + signal)
    }

    @Test func `a user who does not exist is named`() async {
        let recorder = Recorder()
        #expect(await recorder.postern(["run", "--agent", "writer", "--user", "no-such-user", "--", "id"]) == 125)
        #expect(recorder.errors == "postern: there is no user `no-such-user` here\n")
    }
}
