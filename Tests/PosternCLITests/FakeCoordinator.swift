import CoordinationAPI
import Identity
import Mesh
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization

@testable import PosternCLI

/// Stands in for the coordinator: TLS and client certificates in earnest, one answer to every request.
final class FakeCoordinator: Sendable {
    struct Answer {
        var status: HTTPResponseStatus = .ok
        var headers: HTTPHeaders = [:]
        var body: [UInt8]
    }

    struct Asked: Equatable {
        let method: HTTPMethod
        let uri: String
        let body: [UInt8]
    }

    let authority: CertificateAuthority
    private let channel: any Channel
    private let requests: Requests

    /// Everything that was asked so far.
    var asked: [Asked] { requests.all.withLock { $0 } }
    var url: String { "https://127.0.0.1:\(channel.localAddress?.port ?? 0)" }

    final class Requests: Sendable {
        let all = Mutex<[Asked]>([])
    }

    private init(authority: CertificateAuthority, channel: any Channel, requests: Requests) {
        (self.authority, self.channel, self.requests) = (authority, channel, requests)
    }

    /// Serves while `use` runs.
    static func serving(_ answer: Answer, _ use: (FakeCoordinator) async throws -> Void) async throws {
        let authority = try CertificateAuthority(new: MeshDomain("demo.internal"), at: wallClock())
        let requests = Requests()
        let context = try NIOSSLContext(configuration: try serverTLS(authority))
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHandler(NIOSSLServerHandler(context: context))
                    try pipeline.configureHTTPServerPipeline()
                    try pipeline.addHandler(Handler(answer: answer, requests: requests))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let coordinator = FakeCoordinator(authority: authority, channel: channel, requests: requests)
        do { try await use(coordinator) } catch {
            try await channel.close()
            throw error
        }
        try await channel.close()
    }

    private static func serverTLS(_ authority: CertificateAuthority) throws -> TLSConfiguration {
        let key = SigningKey()
        let certificate = try authority.issueServer(
            hosts: [ServerHost("127.0.0.1")], key: key.publicKey, at: wallClock())
        var tls = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMBytes(Array(certificate.pem.utf8)).map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(bytes: Array(key.pem.utf8), format: .pem)))
        tls.certificateVerification = .noHostnameVerification
        tls.trustRoots = .certificates(
            try NIOSSLCertificate.fromPEMBytes(Array(authority.anchor.certificate.pem.utf8)))
        return tls
    }

    /// An admin file for this coordinator; its certificate is issued, and its CA told, by whom the test says.
    func admin(
        issuer: CertificateAuthority? = nil, trusting anchor: CertificateAuthority? = nil,
        key: SigningKey = SigningKey()
    ) throws -> [UInt8] {
        let certificate = try (issuer ?? authority).issueAdmin(UserName("ana"), key: key.publicKey, at: wallClock())
        return try JSON.encode(
            AdminFile(
                mesh: authority.mesh, url: url, ca: (anchor ?? authority).anchor.certificate.pem,
                certificate: certificate.pem, key: key.pem))
    }
}

/// Collects a request and gives the one answer.
private final class Handler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let answer: FakeCoordinator.Answer
    private let requests: FakeCoordinator.Requests
    private var head: HTTPRequestHead?
    private var body: [UInt8] = []

    init(answer: FakeCoordinator.Answer, requests: FakeCoordinator.Requests) {
        (self.answer, self.requests) = (answer, requests)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): (self.head, body) = (head, [])
        case .body(let part): body += part.readableBytesView
        case .end:
            guard let head else { return }
            let asked = FakeCoordinator.Asked(method: head.method, uri: head.uri, body: body)
            requests.all.withLock { $0.append(asked) }
            respond(context)
        }
    }

    private func respond(_ context: ChannelHandlerContext) {
        var headers = answer.headers
        headers.replaceOrAdd(name: "Content-Length", value: "\(answer.body.count)")
        let head = HTTPResponseHead(version: .http1_1, status: answer.status, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: answer.body)))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }
}
