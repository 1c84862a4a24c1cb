import CoordinationAPI
import Crypto
import Identity
import Logging
import Mesh
import PosternCoordinator
import Synchronization
import Testing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// What lies on disk, and what survives there.
@Suite struct StateTests {
    @Test func `the database holds no token's secret and no private key`() async throws {
        try await withCoordinator { lab in
            let (used, unused) = (try await lab.token(), try await lab.token())
            _ = try await lab.client().post("/v1/join", try await TestNode("web-1").request(used.secret, in: lab)).read(
                JoinResponse.self)
            let state = lab.directory.state
            let ca = try SigningKey(pem: try String(contentsOfFile: state.caKey, encoding: .utf8))
            let secrets = [used.secret, unused.secret].map { Array($0.utf8) } + keyForms(ca) + keyForms(lab.adminKey)
            let files = try FileManager.default.contentsOfDirectory(atPath: state.path).filter { $0.contains("sqlite") }
            #expect(files.count >= 2)
            for file in files {
                let bytes = try Data(contentsOf: URL(filePath: "\(state.path)/\(file)"))
                for secret in secrets { #expect(bytes.firstRange(of: Data(secret)) == nil, "\(file)") }
            }
        }
    }

    /// A key as it might lie somewhere: its bytes, its PEM's lines.
    private func keyForms(_ key: SigningKey) -> [[UInt8]] {
        [Array(key.privateKey.rawRepresentation)]
            + key.pem.split(separator: "\n").filter { !$0.hasPrefix("-----") }.map { Array($0.utf8) }
    }

    @Test func `what is secret is its owner's alone`() throws {
        let directory = try TemporaryDirectory()
        defer { withExtendedLifetime(directory) {} }
        let state = directory.state
        #expect(try mode(state.path) == 0o700)
        #expect(try mode(state.caDirectory) == 0o700)
        for file in [state.caKey, state.caCertificate, state.adminFile] { #expect(try mode(file) == 0o600) }
    }

    private func mode(_ path: String) throws -> Int {
        let value = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions]
        return try #require((value as? UInt16).map(Int.init) ?? value as? Int)
    }

    @Test func `a mesh may be made at a relative path`() throws {
        let directory = try TemporaryDirectory()
        let here = FileManager.default.currentDirectoryPath
        let up = String(repeating: "../", count: here.split(separator: "/").count)
        let path = "\(up)\(directory.state.path.drop { $0 == "/" })-beside"
        defer { try? FileManager.default.removeItem(atPath: path) }
        _ = try Founding.found(
            try MeshDomain("acme.example"), at: try #require(CoordinatorURL("https://127.0.0.1:8443")),
            admin: try UserName("ann"), in: StateDirectory(path), now: systemTime())
        #expect(FileManager.default.fileExists(atPath: StateDirectory(path).adminFile))
    }

    @Test func `a mesh is not made over another`() throws {
        let directory = try TemporaryDirectory()
        let before = try String(contentsOfFile: directory.state.adminFile, encoding: .utf8)
        #expect(throws: StateError.self) {
            try Founding.found(
                try MeshDomain("acme.example"), at: try #require(CoordinatorURL("https://127.0.0.1:8443")),
                admin: try UserName("ann"), in: directory.state, now: systemTime())
        }
        #expect(try String(contentsOfFile: directory.state.adminFile, encoding: .utf8) == before)
    }

    @Test func `a coordinator does not serve where no mesh was made`() async throws {
        let directory = try TemporaryDirectory()
        try FileManager.default.removeItem(atPath: directory.state.database)
        await #expect(throws: StateError.self) { try await withCoordinator(in: directory) { _ in } }
        #expect(!FileManager.default.fileExists(atPath: directory.state.database))
    }

    @Test func `a coordinator does not serve with another mesh's CA`() async throws {
        let (one, two) = (try TemporaryDirectory(), try TemporaryDirectory())
        try FileManager.default.removeItem(atPath: one.state.caKey)
        try FileManager.default.copyItem(atPath: two.state.caKey, toPath: one.state.caKey)
        await #expect(throws: IdentityError.self) { try await withCoordinator(in: one) { _ in } }
    }

    @Test func `a coordinator does not serve with a CA key that others can read`() async throws {
        let directory = try TemporaryDirectory()
        try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: directory.state.caKey)
        await #expect(throws: StateError.self) { try await withCoordinator(in: directory) { _ in } }
    }

    @Test func `a coordinator that cannot listen says where and why`() async throws {
        let directory = try TemporaryDirectory()
        defer { withExtendedLifetime(directory) {} }
        let nowhere = try #require(ListenAddress("203.0.113.1:1"))
        let service = try await CoordinatorService(
            state: directory.state, listen: nowhere,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }), ready: { _ in })
        let error = await #expect(throws: ListenError.self) { try await service.run() }
        #expect(error?.description == "cannot listen at `203.0.113.1:1`: cannot assign requested address")
    }

    @Test func `a restart forgets nothing`() async throws {
        let directory = try TemporaryDirectory()
        let kept = Kept()
        try await withCoordinator(in: directory) { lab in
            let node = try await lab.join("web-1")
            _ = try await lab.change(try agent("a", nodes: [node.name])).read(VersionResponse.self)
            _ = try await lab.nodeClient(node).post("/v1/sessions", try node.session(of: "a", in: lab)).read(
                SessionResponse.self)
            kept.set(node, try await lab.nodeClient(node).map())
        }
        try await withCoordinator(in: directory) { lab in
            let (node, map) = try kept.get()
            #expect(try await lab.nodeClient(node).map() == map)
        }
    }
}

/// What one coordinator's test leaves for the next.
private final class Kept: Sendable {
    private let value = Mutex<(TestNode, MapMessage?)?>(nil)
    func set(_ node: TestNode, _ map: MapMessage?) { value.withLock { $0 = (node, map) } }
    func get() throws -> (TestNode, MapMessage?) { try #require(value.withLock { $0 }) }
}
