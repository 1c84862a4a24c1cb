import CoordinationAPI
import Crypto
import Hummingbird
import Identity
import Logging
import Mesh
import NIOCore

/// A request's connection, whose certificate tells who calls.
struct Connection: InitializableFromSource {
    let channel: any Channel
    let logger: Logger

    init(source: ApplicationRequestContextSource) { (channel, logger) = (source.channel, source.logger) }
}

/// The HTTP face of the coordinator: from requests to the steps, and back to responses.
struct API: HTTPResponder {
    let coordinator: Coordinator
    let callers: CallerCheck

    private static let readingDeadline = Duration.seconds(15)

    func respond(to request: Request, context: Connection) async throws -> Response {
        let begun = ContinuousClock.now
        let route = Result { () throws(Refusal) in try Route(request.method, request.uri.path) }
        let response = await respond(to: request, of: route, on: context)
        coordinator.requests.count(try? route.get(), status: response.status.code, took: .now - begun)
        return response
    }

    private func respond(
        to request: Request, of route: Result<Route, Refusal>, on connection: Connection
    ) async -> Response {
        do { return try await answer(request, of: try route.get(), on: connection) } catch let refusal as Refusal {
            return refuse(refusal, request, on: connection)
        } catch {
            connection.logger.error("\(request.method) \(request.uri.path.printable) failed: \(error)")
            return refuse(
                Refusal(.internal, "the coordinator could not do it; its log says why"), request, on: connection)
        }
    }

    private func answer(_ request: Request, of route: Route, on connection: Connection) async throws -> Response {
        let query = Query(request.uri.query ?? "")
        switch route {
        case .ca: return coordinator.caCertificate.response
        case .join: return try await coordinator.join(try await message(request, route)).response
        case .joinChallenge: return try coordinator.challenge(try await message(request, route)).response
        default: break
        }
        let caller = try await callers.caller(on: connection.channel, now: coordinator.now())
        switch route {
        case .ca, .join, .joinChallenge:
            preconditionFailure("these were answered before anybody was asked who he is")
        case .map:
            let node = try caller.node()
            let (epoch, version) = (try query.number("epoch"), try query.number("version"))
            return stream(try coordinator.stream(for: node, epoch: epoch, version: version), on: connection)
        case .applied:
            let node = try caller.node()
            return coordinator.record(try await message(request, route), by: node.name).response
        case .updateNode:
            let node = try caller.node()
            return try await coordinator.update(try await message(request, route), of: node.name, key: node.key)
                .response
        case .renewCertificate:
            let node = try caller.node()
            return try await coordinator.renew(try await message(request, route), of: node.name, key: node.key)
                .response
        case .confirmations:
            _ = try caller.node()
            return try await coordinator.confirmations(of: query.number("version"), by: query.all("node")).response
        case .startSession:
            let node = try caller.node()
            return try await coordinator.start(try await message(request, route), on: node.name, key: node.key).response
        case .endSession(let id): return try await coordinator.end(id, caller: caller).response
        case .change:
            _ = try caller.admin()
            return try await coordinator.change(try await message(request, route)).response
        case .registry:
            _ = try caller.admin()
            return try coordinator.registry().response
        case .statements:
            _ = try caller.admin()
            return coordinator.statements().response
        case .policyHistory:
            _ = try caller.admin()
            return try await coordinator.policyHistory(before: query.number("before")).response
        case .adminCertificate:
            _ = try caller.admin()
            return try coordinator.certify(try await message(request, route)).response
        case .addJoinToken:
            _ = try caller.admin()
            return try await coordinator.addJoinToken(try await message(request, route)).response
        case .sendRecords:
            let node = try caller.node()
            return try await coordinator.receiveRecords(try await bytes(request, route), from: node.name).response
        case .auditHead:
            _ = try caller.admin()
            return try await coordinator.auditHead(since: query.number("since")).response
        case .auditSeal:
            _ = try caller.admin()
            return lines(try await coordinator.auditSeal(first: query.number("first")))
        case .auditLines:
            _ = try caller.admin()
            return lines(
                try await coordinator.auditLines(
                    after: query.number("after"), upTo: query.number("last"), atMost: query.number("count")))
        }
    }

    /// An answer that does not end: one event a line, as they come.
    private func stream(_ events: MapEvents, on connection: Connection) -> Response {
        let channel = connection.channel
        let patience = TimeAmount.milliseconds(coordinator.holds.patience.milliseconds)
        return Response(
            status: .ok, headers: [.contentType: "application/x-ndjson"],
            body: ResponseBody { writer in
                defer { events.close() }
                channel.closeFuture.whenComplete { _ in events.close() }
                while let line = try await events.next() {
                    // Who takes nothing for so long is gone, or wants us to keep it all for him.
                    let drop = channel.eventLoop.scheduleTask(in: patience) { channel.close(promise: nil) }
                    defer { drop.cancel() }
                    try await writer.write(ByteBuffer(bytes: line))
                }
                try await writer.finish(nil)
            })
    }

    /// Text that is passed on as it is stored.
    private func lines(_ bytes: [UInt8]) -> Response {
        Response(
            status: .ok, headers: [.contentType: "application/x-ndjson"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }

    private func message<Message: Decodable & Sendable>(_ request: Request, _ route: Route) async throws -> Message {
        let body = try await bytes(request, route)
        do { return try JSON.decode(Message.self, from: body) } catch {
            throw Refusal.invalid("the body is not what this path takes: \(error)")
        }
    }

    /// Reads a body, within its bounds of length and time.
    private func bytes(_ request: Request, _ route: Route) async throws -> [UInt8] {
        let limit = route.bodyLimit
        if let announced = request.headers[.contentLength].flatMap(Int.init), announced > limit {
            throw Refusal(.tooLarge, "the body is longer than \(limit) bytes")
        }
        return try await withThrowingTaskGroup(of: [UInt8].self) { group in
            group.addTask {
                do { return Array(buffer: try await request.body.collect(upTo: limit)) } catch is NIOTooManyBytesError {
                    throw Refusal(.tooLarge, "the body is longer than \(limit) bytes")
                }
            }
            group.addTask {
                try await Task.sleep(for: Self.readingDeadline)
                throw Refusal(.tooSlow, "the body did not arrive within \(Self.readingDeadline)")
            }
            defer { group.cancelAll() }
            return try await group.next() ?? []
        }
    }

    private func refuse(_ refusal: Refusal, _ request: Request, on connection: Connection) -> Response {
        connection.logger.info(
            "\(request.method) \(request.uri.path.printable) refused, \(refusal.kind): \(refusal.message.printable)")
        // What is left of such a body is not worth reading: the connection goes, once the answer had time to arrive.
        if [.tooLarge, .tooSlow].contains(refusal.kind) {
            connection.channel.eventLoop.scheduleTask(in: .seconds(1)) { connection.channel.close(promise: nil) }
        }
        var response = refusal.response.response(refusal.kind.status)
        // RFC 9110 §15.5.6.
        if case .wrongMethod(let allowed) = refusal.kind { response.headers[.allow] = allowed }
        return response
    }
}

extension Refusal.Kind {
    fileprivate var status: HTTPResponse.Status {
        switch self {
        case .invalid: .badRequest
        case .tooLarge: .contentTooLarge
        case .tooSlow: .requestTimeout
        case .wrongMethod: .methodNotAllowed
        case .unauthenticated: .unauthorized
        case .forbidden: .forbidden
        case .missing: .notFound
        case .conflict: .conflict
        case .full: .serviceUnavailable
        case .busy: .tooManyRequests
        case .unwritable: .init(code: 507, reasonPhrase: "Insufficient Storage")
        case .internal: .internalServerError
        }
    }
}

extension EncodedCertificate {
    fileprivate var response: Response {
        Response(
            status: .ok, headers: [.contentType: "application/x-pem-file"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: pem)))
    }
}

extension Encodable {
    fileprivate var response: Response { response(.ok) }

    fileprivate func response(_ status: HTTPResponse.Status) -> Response {
        guard let bytes = try? JSON.encode(self) else { return Response(status: .internalServerError) }
        return Response(
            status: status, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }
}

extension String {
    /// One bounded line of a log, whatever was sent.
    fileprivate var printable: String {
        String(prefix(500).map { $0.isASCII && ($0.asciiValue ?? 0) >= 0x20 && $0 != "\u{7f}" ? $0 : "?" })
    }
}
