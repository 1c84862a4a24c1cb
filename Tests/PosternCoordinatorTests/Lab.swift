import AsyncHTTPClient
import CoordinationAPI
import Crypto
import Identity
import Logging
import Mesh
import NIOCore
import NIOHTTP1
import NIOSSL
import PosternCoordinator
import Synchronization
import Testing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A coordinator that serves on the loopback, in a directory of its own, by a clock that a test can turn.
final class Lab: Sendable {
    let directory: TemporaryDirectory
    let mesh: MeshDomain
    let admin: AdminFile
    let adminKey: SigningKey
    let port: Int
    let clock: TestClock
    private let clients = Mutex<[HTTPClient]>([])

    init(directory: TemporaryDirectory, port: Int, clock: TestClock) throws {
        (self.directory, self.port, self.clock) = (directory, port, clock)
        admin = try AdminFile(parsing: Array(try Data(contentsOf: URL(filePath: directory.state.adminFile))))
        mesh = admin.mesh
        adminKey = try SigningKey(pem: admin.key)
    }

    var ca: CertificateAuthority {
        get throws {
            try CertificateAuthority(
                certificatePEM: try String(contentsOfFile: directory.state.caCertificate, encoding: .utf8),
                keyPEM: try String(contentsOfFile: directory.state.caKey, encoding: .utf8))
        }
    }

    /// A client with a certificate and its key, or without.
    func client(certificate: String? = nil, key: String? = nil) throws -> Client {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.trustRoots = .certificates([try NIOSSLCertificate(bytes: Array(admin.ca.utf8), format: .pem)])
        if let certificate, let key {
            tls.certificateChain = [.certificate(try NIOSSLCertificate(bytes: Array(certificate.utf8), format: .pem))]
            tls.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: Array(key.utf8), format: .pem))
        }
        let http = HTTPClient(eventLoopGroupProvider: .singleton, configuration: .init(tlsConfiguration: tls))
        clients.withLock { $0.append(http) }
        return Client(http: http, base: "https://127.0.0.1:\(port)")
    }

    func adminClient() throws -> Client { try client(certificate: admin.certificate, key: admin.key) }

    func nodeClient(_ node: TestNode) throws -> Client {
        try client(certificate: node.certificate, key: node.tls.pem)
    }

    func closeClients() async throws {
        for client in clients.withLock({ $0 }) { try await client.shutdown() }
    }

    /// Signs a statement as the first admin, at this moment.
    func signed(_ statement: Statement, by key: SigningKey? = nil, after: Duration = .zero) throws -> Envelope {
        try Envelope(
            signing: Document(mesh: mesh, madeAt: clock.now + after, statement: statement),
            with: (key ?? adminKey).privateKey)
    }

    func change(_ statements: Statement...) async throws -> Answer {
        try await adminClient().post(
            "/v1/changes", ChangeRequest(documents: try statements.map { try signed($0) }))
    }

    func token(for node: NodeName? = nil, lifetime: Int = 600) async throws -> JoinToken {
        try await adminClient().post("/v1/join-tokens", JoinTokenRequest(node: node, lifetimeSeconds: lifetime)).read()
    }

    /// Joins a node.
    func join(_ name: String) async throws -> TestNode {
        var node = try TestNode(name)
        let token = try await token()
        let answer = try await client().post("/v1/join", try await node.request(token.secret, in: self))
        node.certificate = try answer.read(JoinResponse.self).certificate
        return node
    }

    func version() async throws -> UInt64 {
        try await adminClient().get("/v1/registry").read(Registry.self).version
    }
}

/// Runs a coordinator while `body` runs.
func withCoordinator(
    holds: Holds = Holds(confirmation: .seconds(60)), leases: Leases = Leases(),
    in directory: TemporaryDirectory? = nil,
    _ body: @escaping @Sendable (Lab) async throws -> Void
) async throws {
    let clock = TestClock()
    let directory = try directory ?? TemporaryDirectory(now: clock.now)
    let (ports, port) = AsyncStream<Int>.makeStream()
    let service = try await CoordinatorService(
        state: directory.state, listen: try #require(ListenAddress("127.0.0.1:0")), holds: holds, leases: leases,
        logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }), now: { clock.now },
        ready: { port.yield($0) })
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await service.run() }
        var iterator = ports.makeAsyncIterator()
        let lab = try Lab(directory: directory, port: try #require(await iterator.next()), clock: clock)
        let result: Result<Void, any Error>
        do { result = .success(try await body(lab)) } catch { result = .failure(error) }
        try await lab.closeClients()
        group.cancelAll()
        try result.get()
    }
}

/// A state directory with a mesh in it, removed with the last who holds it.
final class TemporaryDirectory: Sendable {
    let state: StateDirectory

    convenience init(now: Timestamp = systemTime()) throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "postern-\(UUID().uuidString)")
        try self.init(at: path.path(percentEncoded: false), now: now)
    }

    init(at path: String, now: Timestamp = systemTime()) throws {
        state = StateDirectory(path)
        _ = try Founding.found(
            try MeshDomain("acme.example"), at: try #require(CoordinatorURL("https://127.0.0.1:8443")),
            admin: try UserName("ann"), in: state, now: now)
    }

    deinit { try? FileManager.default.removeItem(atPath: state.path) }
}

/// The system's time, and what a test adds to it.
final class TestClock: Sendable {
    private let offset = Mutex(Duration.zero)
    private let stopped = Mutex<Timestamp?>(nil)
    var now: Timestamp { (stopped.withLock { $0 } ?? systemTime()) + offset.withLock { $0 } }

    /// From here on only `advance` moves it.
    func stop() { stopped.withLock { $0 = systemTime() } }
    func advance(by span: Duration) { offset.withLock { $0 += span } }
}

/// A machine that joins, with what it proves by.
struct TestNode: Sendable {
    let name: NodeName
    let tls = SigningKey()
    let device = Curve25519.KeyAgreement.PrivateKey()
    var key: WireGuardPublicKey { publicKey(of: device) }
    var certificate: String?

    init(_ name: String) throws { self.name = try NodeName(name) }

    func statement(key: WireGuardPublicKey? = nil, endpoint: String = "192.0.2.7:51820") throws -> Statement {
        .node(NodeStatement(name: name, key: key ?? self.key, endpoints: [try #require(Endpoint(endpoint))]))
    }

    func request(
        _ secret: String, in lab: Lab, statement: Statement? = nil, proof: PossessionProof? = nil,
        device: Curve25519.KeyAgreement.PrivateKey? = nil
    ) async throws -> JoinRequest {
        let own = if let proof { proof } else { try await lab.prove(device ?? self.device, tls: tls) }
        return JoinRequest(
            secret: secret,
            request: try CertificateRequest.make(with: tls, for: SPIFFEID(mesh: lab.mesh, role: .node(name))),
            statement: try lab.signed(statement ?? self.statement(), by: tls), proof: own)
    }

    func session(
        of agent: String, in lab: Lab, id: SessionID = testSession(), node: NodeName? = nil,
        key: WireGuardPublicKey = testKey(), by signer: SigningKey? = nil, after: Duration = .zero
    ) throws -> SessionRequest {
        let statement = SessionStatement(
            id: id, agent: try AgentName(agent), node: node ?? name, key: key,
            endpoints: [try #require(Endpoint("192.0.2.7:51900"))])
        return SessionRequest(statement: try lab.signed(.session(statement), by: signer ?? tls, after: after))
    }
}

extension Lab {
    /// Answers a challenge.
    func prove(
        _ device: Curve25519.KeyAgreement.PrivateKey, for claimed: WireGuardPublicKey? = nil, tls: SigningKey
    ) async throws -> PossessionProof {
        let challenge: Challenge = try await client().post(
            "/v1/join/challenge", ChallengeRequest(key: claimed ?? publicKey(of: device))
        ).read()
        let key = try #require(WireGuardPrivateKey(bytes: Array(device.rawRepresentation)))
        return try #require(Possession.proof(of: key, for: challenge, tlsKey: tls.publicKey))
    }
}

func testKey() -> WireGuardPublicKey { publicKey(of: Curve25519.KeyAgreement.PrivateKey()) }

func publicKey(of device: Curve25519.KeyAgreement.PrivateKey) -> WireGuardPublicKey {
    guard let key = WireGuardPublicKey(bytes: Array(device.publicKey.rawRepresentation)) else {
        preconditionFailure("a public key has 32 bytes")
    }
    return key
}

func testSession() -> SessionID {
    var generator = SystemRandomNumberGenerator()
    return .random(using: &generator)
}

func agent(_ name: String, nodes: Set<NodeName>, disabled: Bool = false) throws -> Statement {
    .agent(
        AgentDefinition(name: try AgentName(name), owner: try UserName("ann"), nodes: nodes, disabled: disabled))
}

func service(_ name: String, on node: String) throws -> Statement {
    .service(
        ServiceDefinition(
            name: try ServiceName(name), node: try NodeName(node), protocol: .tcp, port: try #require(Port("80"))))
}

func policy(_ text: String, name: String = "main.cedar") throws -> Statement {
    .policy(PolicyDocument(name: try PolicyName(name), text: text))
}
