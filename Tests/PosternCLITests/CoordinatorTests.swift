import Audit
import CoordinationAPI
import Foundation
import Identity
import Mesh
import NIOCore
import NIOHTTP1
import NIOPosix
import Testing

@testable import PosternCLI

@Suite struct CoordinatorTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func answer(_ value: some Encodable) throws -> FakeCoordinator.Answer {
        FakeCoordinator.Answer(body: try JSON.encode(value))
    }

    @Test(
        arguments: [
            (
                ["agent", "create", "writer", "--owner", "ana", "--group", "finance", "--node", "node-a"],
                [
                    .agent(
                        AgentDefinition(
                            name: Sample.agent, owner: UserName(unchecked: "ana"),
                            groups: [GroupName(unchecked: "finance")],
                            nodes: [NodeName(unchecked: "node-a")]))
                ], "agent `writer` is defined"
            ),
            (["agent", "delete", "writer"], [.removal(.agent(Sample.agent))], "agent `writer` is removed"),
            (
                ["service", "delete", "ledger"], [.removal(.service(ServiceName(unchecked: "ledger")))],
                "service `ledger` is removed"
            ),
            (
                ["policy", "delete", "demo.cedar"], [.removal(.policy(PolicyName(unchecked: "demo.cedar")))],
                "policy `demo.cedar` is removed"
            ),
        ] as [([String], [Statement], String)])
    func `a change is signed and sent`(arguments: [String], statements: [Statement], words: String) async throws {
        let key = SigningKey()
        try await FakeCoordinator.serving(try answer(VersionResponse(version: 7))) { coordinator in
            let admin = try folder.file("admin.json", try coordinator.admin(key: key))
            let recorder = Recorder()
            #expect(await recorder.postern(arguments + ["--admin-file", admin]) == 0, "\(recorder.errors)")
            #expect(recorder.output == "\(words); the mesh is at version 7\n")
            let asked = try #require(coordinator.asked.first)
            #expect(asked.method == .POST && asked.uri == "/v1/changes")
            let change = try JSON.decode(ChangeRequest.self, from: asked.body)
            let signed = try change.documents.map {
                try $0.document(signedByOneOf: [key.publicKey], of: coordinator.authority.mesh).statement
            }
            #expect(signed == statements)
        }
    }

    @Test(arguments: [["audit", "export"], ["audit", "export", "--since", "1h"], ["audit", "tail"]])
    func `an audit log without a first entry is not believed`(arguments: [String]) async throws {
        try await FakeCoordinator.serving(try answer(AuditHead(first: 0, last: 0, since: 0))) { coordinator in
            let admin = try folder.file("admin.json", try coordinator.admin())
            let recorder = Recorder()
            #expect(await recorder.postern(arguments + ["--admin-file", admin]) == 1)
            #expect(recorder.errors.contains("not to be believed"), "\(recorder.errors)")
        }
    }

    @Test func `policies of several files go in one change`() async throws {
        try await FakeCoordinator.serving(try answer(VersionResponse(version: 8))) { coordinator in
            let admin = try folder.file("admin.json", try coordinator.admin())
            let files = [
                try folder.file("a.cedar", "permit (principal, action, resource);".utf8),
                try folder.file("b.cedar", "forbid (principal, action, resource);".utf8),
            ]
            let recorder = Recorder()
            #expect(await recorder.postern(["policy", "apply"] + files + ["--admin-file", admin]) == 0)
            #expect(recorder.output == "policy `a.cedar`, `b.cedar` is applied; the mesh is at version 8\n")
            #expect(coordinator.asked.count == 1)
        }
    }

    @Test func `a policy that cannot be read is not sent`() async throws {
        try await FakeCoordinator.serving(try answer(VersionResponse(version: 8))) { coordinator in
            let admin = try folder.file("admin.json", try coordinator.admin())
            let file = try folder.file("bad.cedar", "permit (principal);".utf8)
            let recorder = Recorder()
            #expect(await recorder.postern(["policy", "apply", file, "--admin-file", admin]) == 1)
            #expect(coordinator.asked.isEmpty)
        }
    }

    @Test func `a join token goes to a new file that is its owner's alone`() async throws {
        let token = JoinToken(
            mesh: try MeshDomain("demo.internal"), url: "https://127.0.0.1:1", ca: Fingerprint(of: []),
            admin: Fingerprint(of: []), node: try NodeName("node-b"), expires: Sample.now, secret: "hush")
        try await FakeCoordinator.serving(try answer(token)) { coordinator in
            let admin = try folder.file("admin.json", try coordinator.admin())
            let output = folder.path + "/join.json"
            let recorder = Recorder()
            let code = await recorder.postern([
                "join-token", "create", "--node", "node-b", "--ttl", "1m", "--output", output, "--admin-file", admin,
            ])
            #expect(code == 0, "\(recorder.errors)")
            #expect(!recorder.output.contains("hush") && !recorder.errors.contains("hush"))
            #expect(try JoinToken(parsing: try SecretFile.read(output, upTo: 4096)) == token)
            let asked = try #require(coordinator.asked.first)
            let request = try JSON.decode(JoinTokenRequest.self, from: asked.body)
            #expect(asked.uri == "/v1/join-tokens" && request.lifetimeSeconds == 60)
            #expect(request.node?.rawValue == "node-b")
        }
    }

    @Test(
        arguments: [
            (
                .init(status: .forbidden, body: Array(#"{"code":"forbidden","message":"ask ana\u0007"}"#.utf8)),
                "postern: the coordinator refused: ask ana\u{FFFD}\n"
            ),
            (.init(status: .internalServerError, body: []), "answered with status 500 and no reason\n"),
            (.init(body: Array("<html>".utf8)), "answer cannot be read: it is not valid JSON\n"),
            (.init(body: Array("{}".utf8)), "answer cannot be read: `mesh` is missing\n"),
            (.init(body: Array(String(repeating: "[", count: 100_000).utf8)), "nested deeper"),
            (
                .init(status: .found, headers: ["Location": "https://127.0.0.1:1/"], body: []),
                "answered with status 302 and no reason\n"
            ),
        ] as [(FakeCoordinator.Answer, String)])
    func `a refusal, or nonsense, is told and nothing shown`(answer: FakeCoordinator.Answer, words: String) async throws
    {
        try await FakeCoordinator.serving(answer) { coordinator in
            let admin = try folder.file("admin.json", try coordinator.admin())
            let recorder = Recorder()
            #expect(await recorder.postern(["get", "agents", "--admin-file", admin]) == 1)
            #expect(recorder.errors.contains(words), "\(recorder.errors)")
            #expect(recorder.output.isEmpty)
            #expect(coordinator.asked.count == 1)
        }
    }

    @Test func `a coordinator of another CA is asked nothing`() async throws {
        try await FakeCoordinator.serving(.init(body: [])) { coordinator in
            let other = try CertificateAuthority(new: coordinator.authority.mesh, at: wallClock())
            let admin = try folder.file("admin.json", try coordinator.admin(trusting: other))
            let recorder = Recorder()
            #expect(await recorder.postern(["get", "agents", "--admin-file", admin]) == 1)
            #expect(recorder.errors.contains("its certificate is of another CA"), "\(recorder.errors)")
            #expect(coordinator.asked.isEmpty)
        }
    }

    @Test func `an admin of another CA is told so`() async throws {
        try await FakeCoordinator.serving(.init(body: [])) { coordinator in
            let other = try CertificateAuthority(new: coordinator.authority.mesh, at: wallClock())
            let admin = try folder.file("admin.json", try coordinator.admin(issuer: other))
            let recorder = Recorder()
            #expect(await recorder.postern(["get", "agents", "--admin-file", admin]) == 1)
            #expect(recorder.errors.contains("does not accept the admin's certificate"), "\(recorder.errors)")
            #expect(coordinator.asked.isEmpty)
        }
    }

    @Test(arguments: [
        ("https://127.0.0.1:1", "connection refused; is it running?"),
        ("https://localhost:1", "connection refused; is it running?"),
        ("https://nowhere.invalid:1", "no address is known for `nowhere.invalid`"),
    ])
    func `a coordinator that is not there is named, with the reason`(url: String, reason: String) async throws {
        let recorder = Recorder()
        try await FakeCoordinator.serving(.init(body: [])) { coordinator in
            let admin = try folder.file("admin.json", try coordinator.admin())
            let text = try String(contentsOfFile: admin, encoding: .utf8)
            let gone = try folder.file("gone.json", text.replacing(coordinator.url, with: url).utf8)
            #expect(await recorder.postern(["get", "agents", "--admin-file", gone]) == 1)
        }
        #expect(recorder.errors == "postern: cannot reach the coordinator at \(url): \(reason)\n")
    }

    @Test func `who does not speak TLS is not taken for a coordinator of another CA`() async throws {
        let recorder = Recorder()
        try await FakeCoordinator.serving(.init(body: [])) { coordinator in
            let stranger = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .childChannelInitializer { $0.pipeline.addHandler(PlainText()) }
                .bind(host: "127.0.0.1", port: 0).get()
            let admin = try folder.file("admin.json", try coordinator.admin())
            let text = try String(contentsOfFile: admin, encoding: .utf8)
            let url = "https://127.0.0.1:\(stranger.localAddress?.port ?? 0)"
            let file = try folder.file("stranger.json", text.replacing(coordinator.url, with: url).utf8)
            #expect(await recorder.postern(["get", "agents", "--admin-file", file]) == 1)
            try await stranger.close()
        }
        #expect(recorder.errors.contains("does not speak TLS"), "\(recorder.errors)")
    }
}

/// Answers whatever comes as a server without TLS does.
private final class PlainText: ChannelInboundHandler, Sendable {
    typealias InboundIn = ByteBuffer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        context.channel.writeAndFlush(ByteBuffer(string: "HTTP/1.1 400 Bad Request\r\n\r\n"), promise: nil)
    }
}
