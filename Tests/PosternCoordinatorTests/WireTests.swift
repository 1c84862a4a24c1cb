import CoordinationAPI
import Identity
import Mesh
import NIOCore
import NIOPosix
import NIOSSL
import PosternCoordinator
import Testing

/// What is seen of the coordinator below HTTP.
@Suite(.timeLimit(.minutes(5))) struct WireTests {
    @Test func `a node that takes nothing is dropped, and holds up nobody`() async throws {
        let holds = Holds(heartbeat: .milliseconds(20), patience: .seconds(1))
        try await withCoordinator(holds: holds) { lab in
            let (slow, quick) = (try await lab.join("slow"), try await lab.join("quick"))
            // More than fits into the buffers of two sockets.
            let text = "permit (principal, action, resource); // " + String(repeating: "x", count: 60_000)
            let policies = try (0..<80).map { try lab.signed(try policy(text, name: "p\($0).cedar")) }
            _ = try await lab.adminClient().post("/v1/changes", ChangeRequest(documents: policies))
                .read(VersionResponse.self)
            var stream = try await lab.listen(quick)
            _ = try await stream.next()
            let wire = try await Wire(to: lab, as: slow, takes: 1)
            try await wire.send("GET /v1/map?epoch=0 HTTP/1.1\r\nHost: a\r\n\r\n")
            // The other one hears on; by what it hears, time has passed.
            let start = try await stream.next().issuedAt
            _ = try await stream.next { $0.issuedAt > start + .seconds(5) }
            // To one who was not dropped the heartbeats would go on for ever.
            wire.takeAll()
            try await wire.closed()
        }
    }

    @Test func `the coordinator's own certificate is renewed in good time, without a restart`() async throws {
        try await withCoordinator { lab in
            func certificate() async throws -> NIOSSLCertificate {
                let wire = try await Wire(to: lab, takes: 1)
                try await wire.send("GET /v1/ca HTTP/1.1\r\nHost: a\r\n\r\n")
                let seen = try await wire.certificate()
                try await wire.close()
                return seen
            }
            let first = try await certificate()
            #expect(try await certificate() == first)
            lab.clock.advance(by: .seconds(59 * 86_400))
            #expect(try await certificate() == first)
            lab.clock.advance(by: .seconds(2 * 86_400))
            let second = try await certificate()
            #expect(second != first)
            #expect(second.notValidAfter * 1000 > (lab.clock.now + .seconds(89 * 86_400)).rawValue)
        }
    }
}

/// A TLS connection of which a test sees every byte; it reads so many pieces and no more.
private final class Wire: Sendable {
    private let channel: any Channel
    private let seen: EventLoopFuture<NIOSSLCertificate>

    init(to lab: Lab, as node: TestNode? = nil, takes pieces: Int) async throws {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.trustRoots = .certificates([try NIOSSLCertificate(bytes: Array(lab.admin.ca.utf8), format: .pem)])
        if let node, let certificate = node.certificate {
            tls.certificateChain = [.certificate(try NIOSSLCertificate(bytes: Array(certificate.utf8), format: .pem))]
            tls.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: Array(node.tls.pem.utf8), format: .pem))
        }
        let context = try NIOSSLContext(configuration: tls)
        let group = MultiThreadedEventLoopGroup.singleton
        let promise = group.any().makePromise(of: NIOSSLCertificate.self)
        seen = promise.futureResult
        channel = try await ClientBootstrap(group: group)
            .channelOption(.socketOption(.so_rcvbuf), value: 4096)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let handler = try NIOSSLClientHandler(context: context, serverHostname: nil) { chain, verdict in
                        if let leaf = chain.first { promise.succeed(leaf) }
                        verdict.succeed(.certificateVerified)
                    }
                    try channel.pipeline.syncOperations.addHandlers([handler, Reader(pieces: pieces)])
                }
            }
            .connect(host: "127.0.0.1", port: lab.port).get()
    }

    func send(_ text: String) async throws { try await channel.writeAndFlush(ByteBuffer(string: text)) }
    func certificate() async throws -> NIOSSLCertificate { try await seen.get() }
    /// Reads on, to the end.
    func takeAll() { channel.setOption(.autoRead, value: true).whenFailure { _ in } }
    /// Returns when the other side has closed it.
    func closed() async throws { try await channel.closeFuture.get() }
    func close() async throws { try await channel.close() }
}

/// Takes so many pieces of what comes, and then reads no more.
private final class Reader: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private var pieces: Int

    init(pieces: Int) { self.pieces = pieces }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        pieces -= 1
        if pieces == 0 { context.channel.setOption(.autoRead, value: false).whenFailure { _ in } }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
