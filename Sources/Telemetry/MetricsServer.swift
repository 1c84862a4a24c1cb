import Glibc
package import Mesh
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// Answers `GET /metrics`, over plain HTTP, to anybody who reaches it: so it listens where an operator says, and nowhere
/// otherwise. One answer a connection, in bounded time.
package struct MetricsServer: Sendable {
    package typealias Collect = @Sendable () async -> [MetricFamily]

    private typealias Exchange = NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>

    /// Where it listens; the port is the kernel's choice where 0 was asked for.
    package let port: Int
    private let listener: NIOAsyncChannel<Exchange, Never>
    private let collect: Collect

    /// Listens at once, so that a place that is taken is an error at the start. A connection lives no longer than
    /// `patience`.
    package init(
        at address: IPAddress, port: UInt16, patience: Duration = .seconds(10), collect: @escaping Collect
    ) async throws(MetricsError) {
        self.collect = collect
        let deadline = TimeAmount(patience)
        do {
            listener = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                .serverChannelOption(.backlog, value: Int32(Room.places))
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .bind(host: "\(address)", port: Int(port)) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.configureHTTPServerPipeline(
                            withPipeliningAssistance: false)
                        let drop = channel.eventLoop.scheduleTask(in: deadline) { channel.close(promise: nil) }
                        channel.closeFuture.whenComplete { _ in drop.cancel() }
                        return try Exchange(wrappingChannelSynchronously: channel)
                    }
                }
        } catch {
            throw MetricsError(address: address, port: port, reason: (error as? IOError).map(reason) ?? "\(error)")
        }
        self.port = listener.channel.localAddress?.port ?? Int(port)
    }

    /// Until cancelled.
    package func run() async throws {
        let room = Room()
        do { try await serve(within: room) } catch is CancellationError {}
    }

    private func serve(within room: Room) async throws {
        try await listener.executeThenClose { exchanges in
            try await withThrowingDiscardingTaskGroup { group in
                for try await exchange in exchanges {
                    guard room.enter() else {
                        try? await exchange.channel.close()
                        continue
                    }
                    group.addTask {
                        await answer(exchange)
                        room.leave()
                    }
                }
            }
        }
    }

    /// Whatever goes wrong on a connection ends it, and nothing else.
    private func answer(_ exchange: Exchange) async {
        try? await exchange.executeThenClose { parts, writer in
            for try await part in parts {
                guard case .head(let head) = part else { continue }
                let (status, body) = await response(head)
                let headers: HTTPHeaders = [
                    "content-type": "text/plain; version=0.0.4; charset=utf-8",
                    "content-length": "\(body.utf8.count)", "connection": "close",
                ]
                try await writer.write(.head(HTTPResponseHead(version: .http1_1, status: status, headers: headers)))
                if head.method != .HEAD { try await writer.write(.body(.byteBuffer(ByteBuffer(string: body)))) }
                try await writer.write(.end(nil))
                writer.finish()
                return
            }
        }
    }

    private func response(_ head: HTTPRequestHead) async -> (HTTPResponseStatus, String) {
        guard head.uri.prefix(while: { $0 != "?" }) == "/metrics" else {
            return (.notFound, "metrics are at /metrics\n")
        }
        guard [.GET, .HEAD].contains(head.method) else { return (.methodNotAllowed, "metrics are read with GET\n") }
        return (.ok, MetricFamily.text(await collect() + processMetrics()))
    }
}

/// How many may ask at once; who comes then is sent away.
private final class Room: Sendable {
    static let places = 16
    private let taken = Mutex(0)

    func enter() -> Bool {
        taken.withLock { taken in
            guard taken < Self.places else { return false }
            taken += 1
            return true
        }
    }

    func leave() { taken.withLock { $0 -= 1 } }
}

/// Why nobody can read metrics.
package struct MetricsError: Error, CustomStringConvertible {
    let address: IPAddress
    let port: UInt16
    let reason: String

    package var description: String { "cannot serve metrics at `\(address)`, port \(port): \(reason)" }
}

private func reason(_ error: IOError) -> String {
    let text = unsafe String(cString: strerror(error.errnoCode))
    return text.prefix(1).lowercased() + text.dropFirst()
}
