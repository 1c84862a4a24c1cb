import ArgumentParser
import Mesh
import Testing

@testable import PosternCLI

@Suite struct ArgumentsTests {
    @Test func `what stands after the dashes is the command, whatever it looks like`() throws {
        let run = try #require(
            try PosternCommand.parseAsRoot(["run", "--agent", "crew/writer", "--", "sh", "-c", "--agent", "--"])
                as? RunCommand)
        #expect(run.agent.rawValue == "crew/writer")
        #expect(run.command == ["sh", "-c", "--agent", "--"])
        #expect(run.user == nil)
    }

    @Test func `a service takes its tags and is TCP unless said otherwise`() throws {
        let add = try #require(
            try PosternCommand.parseAsRoot([
                "service", "add", "ledger", "--node", "node-b", "--port", "8080", "--tag", "a", "--tag", "b",
            ]) as? ServiceCommand.Add)
        #expect(add.service.rawValue == "ledger")
        #expect(add.port?.rawValue == 8080)
        #expect(add.serviceProtocol == .tcp)
        #expect(add.tag.map(\.rawValue) == ["a", "b"])
        let echo = try #require(
            try PosternCommand.parseAsRoot(["service", "add", "echo-b", "--node", "node-b", "--protocol", "icmp"])
                as? ServiceCommand.Add)
        #expect(echo.serviceProtocol == .icmp && echo.port == nil)
    }

    @Test func `a token is good for a quarter of an hour unless said otherwise`() throws {
        let usual = try PosternCommand.parseAsRoot(["join-token", "create", "--output", "-"])
        #expect((usual as? JoinTokenCommand.Create)?.ttl == Span(seconds: 900))
        let long = try PosternCommand.parseAsRoot(["join-token", "create", "--output", "-", "--ttl", "1d"])
        #expect((long as? JoinTokenCommand.Create)?.ttl == Span(seconds: 86_400))
    }

    @Test(
        arguments: [
            (["status", "--what"], 1, "Unknown option '--what'"), (["fly"], 1, "fly"),
            (["run", "--agent", "Writer", "--", "id"], 125, "is not a name for an agent"),
            (["run", "--agent", "writer"], 125, "say what to run, after `--`"),
            (["run", "--agent", "writer", "id"], 125, "after `--`"), (["run", "--", "id"], 125, "--agent"),
            (["why", "connect", "ledger"], 1, "--agent"), (["why", "--agent", "a", "connect"], 1, "<service>"),
            (["session", "end", "42"], 1, "32 lower-case hexadecimal digits"),
            (["session", "end", "\(Sample.session)", "--socket", "a", "--admin-file", "b"], 1, "choose one"),
            (["service", "add", "a", "--node", "n", "--port", "0"], 1, "1 to 65535"),
            (
                ["service", "add", "a", "--node", "n", "--port", "80", "--protocol", "sctp"], 1,
                "the protocols are: tcp, udp, icmp"
            ),
            (["service", "add", "a", "--node", "n", "--port", "80", "--protocol", "icmp"], 1, "leave --port out"),
            (["service", "add", "a", "--node", "n", "--protocol", "udp"], 1, "--port is missing"),
            (["service", "add", "a", "--port", "80"], 1, "--node"),
            (["agent", "create", "a"], 1, "--owner"), (["agent", "create", "a", "--owner", "Ana"], 1, "a person"),
            (["join-token", "create", "--output", "-", "--ttl", "9s"], 1, "--ttl is from 10s to 1d"),
            (["join-token", "create", "--output", "-", "--ttl", "2d"], 1, "--ttl is from 10s to 1d"),
            (["join-token", "create", "--output", "-", "--ttl", "soon"], 1, "soon"),
            (["join-token", "create"], 1, "--output"), (["get", "keys"], 1, "agents"),
            (["policy", "apply"], 1, "files"),
        ] as [([String], Int32, String)])
    func `a mistake in the arguments is told, with the code of an error`(
        arguments: [String], code: Int32, words: String
    ) async {
        let recorder = Recorder()
        #expect(await recorder.postern(arguments) == code)
        #expect(recorder.errors.hasPrefix("postern: "))
        #expect(recorder.errors.contains(words), "\(recorder.errors)")
        #expect(recorder.output.isEmpty)
    }

    @Test(arguments: [
        [], ["run"], ["status"], ["why"], ["session", "list"], ["session", "end"], ["join-token", "create"],
        ["agent", "create"], ["agent", "delete"], ["service", "add"], ["service", "delete"], ["policy", "apply"],
        ["policy", "check"], ["policy", "delete"], ["get"],
    ])
    func `every command explains itself`(command: [String]) async {
        let recorder = Recorder()
        #expect(await recorder.postern(command + ["--help"]) == 0)
        #expect(recorder.output.contains("USAGE: postern"))
        #expect(recorder.errors.isEmpty)
    }
}
