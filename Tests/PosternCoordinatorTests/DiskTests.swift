import CoordinationAPI
import Foundation
import GRDB
import Identity
import Mesh
import Testing

@testable import PosternCoordinator

/// A disk that takes no more. Needs root, for a small file system of its own.
@Suite struct DiskTests {
    @Test(.timeLimit(.minutes(2)))
    func `on a full disk nothing is changed, and what is there is served`() async throws {
        let disk = try SmallDisk()
        let directory = try TemporaryDirectory(at: disk.path + "/state")
        let holds = Holds(confirmation: .seconds(60), heartbeat: .milliseconds(50))
        try await withCoordinator(holds: holds, in: directory) { lab in
            let node = try await lab.join("web-1")
            _ = try await lab.change(try agent("a", nodes: [node.name])).read(VersionResponse.self)
            let (client, token) = (try lab.nodeClient(node), try await lab.token())
            var stream = try await lab.listen(node)
            let first = try await stream.next()
            try disk.fill()

            try expect(try await lab.change(try agent("b", nodes: [])), 507, "unavailable", "nothing was changed")
            try expect(
                try await client.post("/v1/sessions", try node.session(of: "a", in: lab)), 507, "unavailable",
                "nothing was changed")
            try expect(
                try await lab.client().post("/v1/join", try await TestNode("web-2").request(token.secret, in: lab)),
                507,
                "unavailable")
            let registry: Registry = try await lab.adminClient().get("/v1/registry").read()
            #expect(registry.version == first.version && registry.agents.count == 1 && registry.nodes.count == 1)
            let beat = try await stream.next { $0.issuedAt > first.issuedAt }
            #expect((beat.content, beat.version) == (.unchanged, first.version))
            _ = try await client.post("/v1/applied", AppliedRequest(version: first.version)).read(VersionResponse.self)

            try disk.empty()
            let made: VersionResponse = try await lab.change(try agent("b", nodes: [])).read()
            #expect(made.version == first.version + 1)
            // The token was not used up.
            let answer = try await lab.client().post(
                "/v1/join", try await TestNode("web-2").request(token.secret, in: lab))
            #expect(answer.status == 200)
        }
        try await withCoordinator(in: directory) { lab in
            let registry: Registry = try await lab.adminClient().get("/v1/registry").read()
            #expect((registry.agents.count, registry.nodes.count, registry.sessions.count) == (2, 2, 0))
        }
    }
}

/// A database that may be read and not written.
@Suite struct ReadOnlyTests {
    @Test(.timeLimit(.minutes(2)))
    func `a coordinator on a disk that is read only serves what it has, and forgets nothing`() async throws {
        let disk = try SmallDisk()
        let directory = try TemporaryDirectory(at: disk.path + "/state")
        try await withCoordinator(in: directory) { lab in
            let node = try await lab.join("web-1")
            _ = try await lab.change(try agent("a", nodes: [node.name])).read(VersionResponse.self)
        }
        try disk.mount(readOnly: true)
        try await withCoordinator(in: directory) { lab in
            let registry: Registry = try await lab.adminClient().get("/v1/registry").read()
            #expect((registry.agents.count, registry.nodes.count) == (1, 1))
            try expect(try await lab.change(try agent("b", nodes: [])), 507, "unavailable", "nothing was changed")
        }
        try disk.mount(readOnly: false)
        try await withCoordinator(in: directory) { lab in
            _ = try await lab.change(try agent("b", nodes: [])).read(VersionResponse.self)
            let registry: Registry = try await lab.adminClient().get("/v1/registry").read()
            #expect((registry.agents.count, registry.nodes.count) == (2, 1))
        }
    }

    @Test func `a database that turns read only is said to be so, and nothing is changed`() async throws {
        let now = systemTime()
        let directory = try TemporaryDirectory(now: now)
        let ca = try CertificateAuthority(
            certificatePEM: try PrivateFile.read(directory.state.caCertificate),
            keyPEM: try PrivateFile.read(directory.state.caKey))
        let store = try await Store(opening: directory.state, ca: ca, now: now)
        let record = try JoinTokenRequest(node: nil, lifetimeSeconds: 600).record(now: now)
        try await store.database.writeWithoutTransaction { try $0.execute(sql: "PRAGMA query_only = 1") }
        let refusal = await #expect(throws: Refusal.self) {
            try await store.add(record, digest: TokenSecret().digest)
        }
        #expect(refusal?.kind == .unwritable)
        #expect(refusal?.message.contains("nothing was changed") == true, "\(refusal?.message ?? "")")
        try await store.database.writeWithoutTransaction { try $0.execute(sql: "PRAGMA query_only = 0") }
        try await store.add(record, digest: TokenSecret().digest)
        try store.close()
    }
}

/// A file system of a few megabytes, taken away with this value.
private final class SmallDisk: Sendable {
    let path: String
    private var filling: String { path + "/filling" }

    init() throws {
        path = FileManager.default.temporaryDirectory.appending(path: "postern-disk-\(UUID().uuidString)").path(
            percentEncoded: false)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        try Self.run("mount", "-t", "tmpfs", "-o", "size=3m,mode=0700", "tmpfs", path)
    }

    deinit {
        try? Self.run("umount", "-l", path)
        try? FileManager.default.removeItem(atPath: path)
    }

    func mount(readOnly: Bool) throws { try Self.run("mount", "-o", "remount,\(readOnly ? "ro" : "rw")", path) }

    func fill() throws {
        #expect(FileManager.default.createFile(atPath: filling, contents: nil))
        let file = try #require(FileHandle(forWritingAtPath: filling))
        defer { try? file.close() }
        for size in [65_536, 4096, 1] {
            while (try? file.write(contentsOf: Data(repeating: 1, count: size))) != nil {}
        }
    }

    func empty() throws { try FileManager.default.removeItem(atPath: filling) }

    private static func run(_ program: String, _ arguments: String...) throws {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [program] + arguments
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Unexpected("\(program) failed") }
    }
}
