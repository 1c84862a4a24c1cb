import AsyncHTTPClient
package import Audit
package import CoordinationAPI
package import Mesh
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// Why the coordinator gave no answer, or the wrong one.
package enum CoordinatorError: Error, Sendable, CustomStringConvertible {
    case unreachable(url: String, reason: String)
    case refused(ErrorResponse)
    case unreadable(String)

    package var description: String {
        switch self {
        case .unreachable(let url, let reason): "cannot reach the coordinator at \(url): \(reason)"
        case .refused(let response): "the coordinator refused: \(response.message)"
        case .unreadable(let reason): "the coordinator's answer cannot be read: \(reason)"
        }
    }
}

/// The node's side of the coordinator's API, over mutual TLS.
///
/// Owns an HTTP client: whoever makes one calls ``shutdown()``.
package struct CoordinatorClient: Sendable {
    let url: String
    let client: HTTPClient

    /// How long an answer may take.
    package static let patience = Duration.seconds(10)

    /// Trusts the mesh's CA alone; shows a certificate once the node has one.
    package init(
        url: String, ca: String, certificate: String? = nil, key: String? = nil
    ) throws(CoordinatorError) {
        do {
            var tls = TLSConfiguration.makeClientConfiguration()
            tls.minimumTLSVersion = .tlsv13
            // While a map streams the coordinator reads nothing, and so never answers the end of a connection.
            tls.shutdownTimeout = .milliseconds(250)
            tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(Array(ca.utf8)))
            if let certificate, let key {
                tls.certificateChain = try NIOSSLCertificate.fromPEMBytes(Array(certificate.utf8)).map {
                    .certificate($0)
                }
                tls.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: Array(key.utf8), format: .pem))
            }
            self.init(url: url, tls: tls)
        } catch { throw .unreadable("a certificate or key is not valid PEM: \(error)") }
    }

    private init(url: String, tls: TLSConfiguration) {
        self.url = url.hasSuffix("/") ? String(url.dropLast()) : url
        var configuration = HTTPClient.Configuration(tlsConfiguration: tls)
        configuration.httpVersion = .http1Only
        configuration.redirectConfiguration = .disallow
        // Name by name, address by address (RFC 8305): the first that answers is taken.
        configuration.timeout.connect = .seconds(3)
        configuration.timeout.read = .nanoseconds(MapEvent.silence.milliseconds * 1_000_000)
        // A coordinator that moved leaves dead connections behind. None shall be there any more when the silence of the
        // stream is noticed, or each would cost a request its time.
        configuration.connectionPool.idleTimeout = configuration.timeout.read.map { $0 - .seconds(5) } ?? .seconds(20)
        client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }

    package func shutdown() async { try? await client.shutdown() }

    package func join(_ request: JoinRequest) async throws(CoordinatorError) -> JoinResponse {
        try await send(.POST, "/v1/join", body: request)
    }

    /// What the node must answer to prove that a WireGuard key is its own.
    package func challenge(for key: WireGuardPublicKey) async throws(CoordinatorError) -> Challenge {
        try await send(.POST, "/v1/join/challenge", body: ChallengeRequest(key: key))
    }

    /// Says that a version stands in this machine's kernel.
    package func report(applied version: UInt64) async throws(CoordinatorError) {
        let _: VersionResponse = try await send(.POST, "/v1/applied", body: AppliedRequest(version: version))
    }

    /// Says that the node has another WireGuard key, or answers at other places.
    package func change(_ request: NodeRequest) async throws(CoordinatorError) -> VersionResponse {
        try await send(.POST, "/v1/node", body: request)
    }

    /// Asks for another certificate in good time.
    package func renew(_ request: NodeCertificateRequest) async throws(CoordinatorError) -> CertificateResponse {
        try await send(.POST, "/v1/node/certificate", body: request)
    }

    package func start(
        _ request: SessionRequest, within patience: Duration = Self.patience
    ) async throws(CoordinatorError) -> SessionResponse {
        try await send(.POST, "/v1/sessions", body: request, within: patience)
    }

    /// The same for `async let`.
    func answer(to request: SessionRequest) async -> Result<SessionResponse, CoordinatorError> {
        do { return .success(try await start(request)) } catch { return .failure(error) }
    }

    package func end(_ session: SessionID) async throws(CoordinatorError) -> VersionResponse {
        try await send(.DELETE, "/v1/sessions/\(session)")
    }

    /// Delivers records, a text a line.
    package func deliver(_ records: [UInt8]) async throws(CoordinatorError) -> AuditReceipt {
        let answer = try await exchange(.POST, "/v1/audit", body: records, limit: BodyLimit.response)
        do { return try JSON.decode(AuditReceipt.self, from: answer) } catch { throw .unreadable(error.reason) }
    }

    package func confirmations(
        of version: UInt64, by nodes: [NodeName]
    ) async throws(CoordinatorError) -> ConfirmationResponse {
        let query = nodes.map { "&node=\($0)" }.joined()
        return try await send(.GET, "/v1/confirmations?version=\(version)\(query)")
    }

    /// The CA certificate from a coordinator that nobody trusts yet: whoever calls this compares its fingerprint.
    package static func fetchCA(url: String) async throws(CoordinatorError) -> String {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.minimumTLSVersion = .tlsv13
        tls.certificateVerification = .none
        let stranger = CoordinatorClient(url: url, tls: tls)
        let answer: Result<[UInt8], CoordinatorError>
        do { answer = .success(try await stranger.exchange(.GET, "/v1/ca", body: nil, limit: 65_536)) } catch {
            answer = .failure(error)
        }
        await stranger.shutdown()
        return String(decoding: try answer.get(), as: UTF8.self)
    }

    private func send<Answer: Decodable>(
        _ method: HTTPMethod, _ path: String, body: (any Encodable)? = nil, within patience: Duration = Self.patience
    ) async throws(CoordinatorError) -> Answer {
        do {
            let bytes = try body.map { value throws(MessageError) in try JSON.encode(value) }
            let answer = try await exchange(method, path, body: bytes, limit: BodyLimit.response, within: patience)
            return try JSON.decode(Answer.self, from: answer)
        } catch let error as MessageError { throw .unreadable(error.reason) } catch let error as CoordinatorError {
            throw error
        } catch { throw .unreadable("\(error)") }
    }

    private func exchange(
        _ method: HTTPMethod, _ path: String, body: [UInt8]?, limit: Int, within patience: Duration = Self.patience
    ) async throws(CoordinatorError) -> [UInt8] {
        var request = HTTPClientRequest(url: url + path)
        request.method = method
        if let body {
            request.headers.add(name: "Content-Type", value: "application/json")
            request.body = .bytes(ByteBuffer(bytes: body))
        }
        let status: HTTPResponseStatus
        let bytes: [UInt8]
        do {
            let response = try await client.execute(request, timeout: .milliseconds(patience.milliseconds))
            status = response.status
            bytes = Array(buffer: try await response.body.collect(upTo: limit))
        } catch { throw .unreachable(url: url, reason: reason(for: error)) }
        guard (200..<300).contains(status.code) else {
            guard let refusal = try? JSON.decode(ErrorResponse.self, from: bytes) else {
                throw .unreadable("status \(status.code) without a reason")
            }
            throw .refused(refusal)
        }
        return bytes
    }

    func reason(for error: any Error) -> String {
        switch error {
        case let error as IOError: errorText(error.errnoCode).lowercased()
        case let error as NIOConnectionError:
            error.connectionErrors.isEmpty ? "no address is known for `\(error.host)`" : "no address of it answers"
        case let error as HTTPClientError where error == .connectTimeout: "no answer within 3 s"
        case let error as HTTPClientError where error == .deadlineExceeded: "no answer in time"
        case let error as HTTPClientError where error == .readTimeout: "it has been silent for too long"
        default: "\(error)"
        }
    }
}
