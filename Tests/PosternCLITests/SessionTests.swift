import CoordinationAPI
import Foundation
import Mesh
import Synchronization
import Testing

@testable import PosternCLI

/// A node with a session of root's and one of another user's, of agents of one crew; it writes down which were ended.
private final class SessionNode: Sendable {
    static let others = SessionID(unchecked: String(repeating: "b", count: 32))
    let asked: Asked
    let node: FakeNode

    final class Asked: Sendable {
        let ended = Mutex<[SessionID]>([])
    }

    init(callers: Int, problem: String? = nil) throws {
        let (asked, status) = (Asked(), try Self.status())
        self.asked = asked
        node = try FakeNode(callers: callers) { caller in
            switch caller.request {
            case .status: caller.send(.status(status))
            case .endSession(let id):
                asked.ended.withLock { $0.append(id) }
                caller.send(.ended(SessionEnding(id: id, cutAfterMilliseconds: 4, problem: problem)))
            default: caller.send(.failed("what?"))
            }
        }
    }

    private static func status() throws -> NodeStatus {
        var status = try Sample.status()
        let sessions = [(Sample.session, "crew/reader", geteuid()), (others, "crew/writer", geteuid() + 1)]
        status.sessions = sessions.map { id, agent, owner in
            NodeStatus.Session(
                id: id, agent: AgentName(unchecked: agent), address: "10.64.0.9", device: "pt1", expires: Sample.now,
                processID: 7, owner: owner)
        }
        return status
    }

    func end(_ arguments: String...) async -> (code: Int32, output: String, errors: String) {
        let recorder = Recorder()
        let code = await recorder.postern(["session", "end"] + arguments + ["--socket", node.path])
        return (code, recorder.output, recorder.errors)
    }

    var ended: Set<SessionID> { Set(asked.ended.withLock { $0 }) }
    /// Root may end everybody's.
    static var mine: Set<SessionID> { geteuid() == 0 ? [Sample.session, others] : [Sample.session] }
}

@Suite struct SessionTests {
    @Test func `ending a session says when its last packet passed`() async throws {
        let node = try SessionNode(callers: 1)
        let said = await node.end("\(Sample.session)")
        #expect(said.code == 0)
        #expect(said.output == "session \(Sample.session) has ended: its last packet passed within 4 ms\n")
        #expect(node.ended == [Sample.session])
    }

    @Test func `an end that may leave the network standing is an error`() async throws {
        let node = try SessionNode(callers: 1, problem: "device `pt1` should be down: no")
        let said = await node.end("\(Sample.session)")
        #expect(said.code == 1)
        #expect(said.errors.contains("may not be cut: device `pt1` should be down"))
    }

    @Test(arguments: [["--all"], ["--agent", "crew"], ["--agent", "crew", "--all"]])
    func `all that are meant and may be ended are`(arguments: [String]) async throws {
        let node = try SessionNode(callers: 1 + SessionNode.mine.count)
        let recorder = Recorder()
        #expect(await recorder.postern(["session", "end"] + arguments + ["--socket", node.node.path]) == 0)
        #expect(node.ended == SessionNode.mine)
    }

    @Test func `an agent's are its own alone, and those below it`() async throws {
        let node = try SessionNode(callers: 2)
        #expect(await node.end("--agent", "crew/reader").code == 0)
        #expect(node.ended == [Sample.session])
    }

    @Test func `where none is meant that is said`() async throws {
        let node = try SessionNode(callers: 1)
        let said = await node.end("--agent", "cre")
        #expect(said.code == 0)
        #expect(said.output == "no session of yours runs here that is meant\n")
    }

    @Test(arguments: [[], ["--all", "\(Sample.session)"], ["\(Sample.session)", "--agent", "crew"]])
    func `it must be said which`(arguments: [String]) async throws {
        let recorder = Recorder()
        #expect(await recorder.postern(["session", "end"] + arguments) == 1)
        #expect(recorder.errors.contains("say which"), "\(recorder.errors)")
    }

    @Test func `extending says until when`() async throws {
        let lease = SessionLease(
            id: Sample.session, expires: Sample.now + .seconds(900), maximum: Sample.now + .seconds(28_800))
        let node = try FakeNode { caller in
            caller.send(caller.request == .extendSession(Sample.session) ? .extended(lease) : .failed("what?"))
        }
        let recorder = Recorder()
        #expect(await recorder.postern(["session", "extend", "\(Sample.session)", "--socket", node.path]) == 0)
        #expect(recorder.output.contains("lives until \(lease.expires)"))
        #expect(recorder.output.contains("\(lease.maximum)"))
    }

    @Test(
        arguments: [
            (["list"], "nobody lists the sessions"), (["extend", "\(Sample.session)"], "Nobody else can extend"),
            (["end", "--all"], "ends with its lease"),
        ])
    func `without posternd it is said what cannot be done`(arguments: [String], words: String) async throws {
        let folder = try TemporaryFolder()
        let recorder = Recorder()
        #expect(await recorder.postern(["session"] + arguments + ["--socket", folder.path + "/none.sock"]) == 1)
        #expect(recorder.errors.contains("is it running?"))
        #expect(recorder.errors.contains(words), "\(recorder.errors)")
    }
}

@Suite struct OrphanedSessionsTests {
    @Test func `a session is killed by its own cgroup`() throws {
        let folder = try TemporaryFolder()
        let cgroup = folder.path + "/postern/postern0/\(Sample.session)"
        try FileManager.default.createDirectory(atPath: cgroup, withIntermediateDirectories: true)
        try Data().write(to: URL(filePath: cgroup + "/cgroup.kill"))
        try OrphanedSessions(root: folder.path).kill(Sample.session)
        #expect(try String(contentsOfFile: cgroup + "/cgroup.kill", encoding: .utf8) == "1")
    }

    @Test func `one that is not there is not killed`() throws {
        let folder = try TemporaryFolder()
        #expect(throws: CommandFailure.self) { try OrphanedSessions(root: folder.path).kill(Sample.session) }
    }

    @Test(
        arguments: [
            ("30 23 0:26 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw", "/sys/fs/cgroup"),
            ("30 23 0:26 /part /a rw - cgroup2 cgroup2 rw\n31 23 0:26 / /b\\040c rw - cgroup2 x rw", "/b c"),
            ("30 23 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw", nil), ("", nil),
        ] as [(String, String?)])
    func `the tree is found where it is mounted whole`(table: String, path: String?) {
        #expect(OrphanedSessions.mountPoint(in: table) == path)
    }
}
