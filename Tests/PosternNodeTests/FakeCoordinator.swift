import CoordinationAPI
import Identity
import Mesh
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import PosternNode
import Synchronization

/// Stands in for the coordinator: TLS and client certificates in earnest, and lines when the test says so.
final class FakeCoordinator: Sendable {
    let mesh: SignedMesh
    private let channel: any Channel
    private let state: State

    /// What was asked so far: method and path with query.
    var asked: [String] { state.asked.withLock { $0 } }
    /// How many listen.
    var listeners: Int { state.streams.withLock { $0.count } }
    var port: Int { channel.localAddress?.port ?? 0 }
    var url: String { "https://localhost:\(port)" }

    fileprivate final class State: Sendable {
        let asked = Mutex<[String]>([])
        let bodies = Mutex<[String: [UInt8]]>([:])
        let streams = Mutex<[any Channel]>([])
        /// What every stream begins with.
        let greeting = Mutex<[UInt8]>([])
    }

    private init(mesh: SignedMesh, channel: any Channel, state: State) {
        (self.mesh, self.channel, self.state) = (mesh, channel, state)
    }

    /// Serves while `use` runs.
    static func serving(
        _ mesh: SignedMesh, _ use: (FakeCoordinator) async throws -> Void
    ) async throws {
        let state = State()
        let context = try NIOSSLContext(configuration: try serverTLS(mesh.ca))
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHandler(NIOSSLServerHandler(context: context))
                    try pipeline.configureHTTPServerPipeline()
                    try pipeline.addHandler(Handler(state: state))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let coordinator = FakeCoordinator(mesh: mesh, channel: channel, state: state)
        do { try await use(coordinator) } catch {
            try await channel.close()
            throw error
        }
        try await channel.close()
    }

    private static func serverTLS(_ authority: CertificateAuthority) throws -> TLSConfiguration {
        let key = SigningKey()
        let certificate = try authority.issueServer(
            hosts: [ServerHost("127.0.0.1"), ServerHost("localhost")], key: key.publicKey, at: .wall)
        var tls = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMBytes(Array(certificate.pem.utf8)).map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(bytes: Array(key.pem.utf8), format: .pem)))
        tls.certificateVerification = .noHostnameVerification
        tls.trustRoots = .certificates(
            try NIOSSLCertificate.fromPEMBytes(Array(authority.anchor.certificate.pem.utf8)))
        return tls
    }

    /// A client with the certificate of node `a`.
    func client() throws -> CoordinatorClient {
        guard let key = mesh.keys["a"] else { throw TestError("node a has a key") }
        return try CoordinatorClient(
            url: url, ca: mesh.ca.anchor.certificate.pem, certificate: mesh.nodes[0].certificate,
            key: key.pem)
    }

    /// Streams that begin after this begin with these bytes.
    func greet(with bytes: [UInt8]) { state.greeting.withLock { $0 = bytes } }

    /// Sends bytes to everybody who listens.
    func send(_ bytes: [UInt8]) {
        for channel in state.streams.withLock({ $0 }) {
            channel.writeAndFlush(HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(bytes: bytes))), promise: nil)
        }
    }

    /// Cuts everybody off who listens.
    func hangUp() {
        for channel in state.streams.withLock({ $0 }) { channel.close(promise: nil) }
        state.streams.withLock { $0 = [] }
    }
}

private final class Handler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let state: FakeCoordinator.State
    private var uri = ""

    init(state: FakeCoordinator.State) { self.state = state }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): uri = "\(head.method.rawValue) \(head.uri)"
        case .body: break
        case .end:
            state.asked.withLock { $0.append(uri) }
            if uri.hasPrefix("GET /v1/map") { stream(context) } else { answer(context) }
        }
    }

    private func stream(_ context: ChannelHandlerContext) {
        context.write(wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .ok))), promise: nil)
        let greeting = state.greeting.withLock { $0 }
        context.writeAndFlush(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: greeting)))), promise: nil)
        state.streams.withLock { $0.append(context.channel) }
    }

    private func answer(_ context: ChannelHandlerContext) {
        let body = Array(#"{"version":1}"#.utf8)
        let headers = HTTPHeaders([("Content-Length", "\(body.count)")])
        context.write(
            wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .ok, headers: headers))), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: body)))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }
}
