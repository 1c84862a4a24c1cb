import AsyncHTTPClient
import Audit
import CoordinationAPI
import Glibc
import Mesh
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// An admin's side of the coordinator's API, over mutual TLS.
struct CoordinatorClient {
    private let url: String
    private let client: HTTPClient

    /// Lends a client, and shuts it down afterwards.
    static func with<Answer: Sendable>(
        _ access: AdminAccess, _ use: (CoordinatorClient) async throws -> Answer
    ) async throws -> Answer {
        let client = try CoordinatorClient(access)
        let answer: Result<Answer, any Error>
        do { answer = .success(try await use(client)) } catch { answer = .failure(error) }
        try? await client.client.shutdown()
        return try answer.get()
    }

    private init(_ access: AdminAccess) throws(CommandFailure) {
        let file = access.file
        do {
            var tls = TLSConfiguration.makeClientConfiguration()
            tls.minimumTLSVersion = .tlsv13
            tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(Array(file.ca.utf8)))
            tls.certificateChain = try NIOSSLCertificate.fromPEMBytes(Array(file.certificate.utf8)).map {
                .certificate($0)
            }
            tls.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: Array(file.key.utf8), format: .pem))
            var configuration = HTTPClient.Configuration(tlsConfiguration: tls)
            configuration.httpVersion = .http1Only
            configuration.redirectConfiguration = .disallow
            configuration.timeout.connect = .seconds(10)
            client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
            url = file.url.hasSuffix("/") ? String(file.url.dropLast()) : file.url
        } catch { throw CommandFailure("a certificate in the admin file cannot be read: \(error)") }
    }

    func registry() async throws(CommandFailure) -> Registry {
        try await send(.GET, "/v1/registry", body: nil)
    }

    func change(_ request: ChangeRequest) async throws(CommandFailure) -> VersionResponse {
        try await send(.POST, "/v1/changes", body: encode(request))
    }

    func joinToken(_ request: JoinTokenRequest) async throws(CommandFailure) -> JoinToken {
        try await send(.POST, "/v1/join-tokens", body: encode(request))
    }

    func endSession(_ id: SessionID) async throws(CommandFailure) -> VersionResponse {
        try await send(.DELETE, "/v1/sessions/\(id)", body: nil)
    }

    func statements() async throws(CommandFailure) -> StatementsResponse {
        try await send(.GET, "/v1/statements", body: nil)
    }

    /// All that was said of policies, the newest first, as far back as `isEnough` of what came wants.
    func policyHistory(
        until isEnough: ([PolicyHistory.Change]) -> Bool = { _ in false }
    ) async throws(CommandFailure) -> [PolicyHistory.Change] {
        var changes: [PolicyHistory.Change] = []
        var before: Int64?
        repeat {
            let query = before.map { "?before=\($0)" } ?? ""
            let part: PolicyHistory = try await send(.GET, "/v1/policy-history" + query, body: nil)
            guard !part.changes.isEmpty || part.next == nil, part.next ?? 0 < before ?? .max else {
                throw CommandFailure("the coordinator's history of policies does not end: it is not to be believed")
            }
            changes += part.changes
            before = part.next
        } while before != nil && !isEnough(changes)
        return changes
    }

    func adminCertificate(_ request: AdminCertificateRequest) async throws(CommandFailure) -> CertificateResponse {
        try await send(.POST, "/v1/admin-certificates", body: encode(request))
    }

    /// How far the audit log goes, and where what was received since a moment begins.
    func auditHead(since: Timestamp? = nil) async throws(CommandFailure) -> AuditHead {
        let query = since.map { "?since=\(max(0, $0.rawValue))" } ?? ""
        let head: AuditHead = try await send(.GET, "/v1/audit/head" + query, body: nil)
        guard head.first > 0, head.since > 0 else {
            throw CommandFailure("the coordinator's audit log has no first entry: its answer is not to be believed")
        }
        return head
    }

    /// A seal about the entries from one on, and the last that it speaks of.
    func auditSeal(from first: UInt64) async throws(CommandFailure) -> (line: String, last: UInt64) {
        let bytes = try await exchange(.GET, "/v1/audit/seal?first=\(first)", body: nil)
        do { return (String(decoding: bytes, as: UTF8.self), try LogEntry.lastEntry(ofSeal: bytes)) } catch {
            throw CommandFailure("the coordinator's seal cannot be read: \(error.reason)")
        }
    }

    /// The entries after one, as many as the coordinator gives at once.
    func auditLines(after number: UInt64, upTo last: UInt64? = nil) async throws(CommandFailure) -> [LogEntry] {
        let end = last.map { "&last=\($0)" } ?? ""
        let bytes = try await exchange(.GET, "/v1/audit/lines?after=\(number)\(end)", body: nil)
        let page: [LogEntry]
        do { page = try LogEntry.page(bytes) } catch {
            throw CommandFailure("the coordinator's answer cannot be read: \(error.reason)")
        }
        guard page.allSatisfy({ $0.number > number }) else {
            throw CommandFailure("the coordinator gives entries of the audit log that were not asked for")
        }
        return page
    }

    private func encode(_ value: some Encodable) throws(CommandFailure) -> [UInt8] {
        do { return try JSON.encode(value) } catch { throw CommandFailure(error.reason) }
    }

    private func send<Answer: Decodable>(
        _ method: HTTPMethod, _ path: String, body: [UInt8]?
    ) async throws(CommandFailure) -> Answer {
        let bytes = try await exchange(method, path, body: body)
        do { return try JSON.decode(Answer.self, from: bytes) } catch {
            throw CommandFailure("the coordinator's answer cannot be read: \(error.reason)")
        }
    }

    private func exchange(
        _ method: HTTPMethod, _ path: String, body: [UInt8]?
    ) async throws(CommandFailure) -> [UInt8] {
        var request = HTTPClientRequest(url: url + path)
        request.method = method
        if let body {
            request.headers.add(name: "Content-Type", value: "application/json")
            request.body = .bytes(ByteBuffer(bytes: body))
        }
        let status: HTTPResponseStatus
        let bytes: [UInt8]
        do {
            let response = try await client.execute(request, timeout: .seconds(30))
            status = response.status
            bytes = Array(buffer: try await response.body.collect(upTo: BodyLimit.response))
        } catch { throw failure(for: error) }
        guard (200..<300).contains(status.code) else {
            guard let refusal = try? JSON.decode(ErrorResponse.self, from: bytes) else {
                throw CommandFailure("the coordinator at \(url) answered with status \(status.code) and no reason")
            }
            throw CommandFailure("the coordinator refused: \(refusal.message)")
        }
        return bytes
    }

    private func failure(for error: any Error) -> CommandFailure {
        switch error {
        case let error as HTTPClientError where error == .connectTimeout || error == .deadlineExceeded:
            CommandFailure("the coordinator at \(url) does not answer: is it running, and does the network reach it?")
        case is NIOSSLError, is BoringSSLError: tlsFailure("\(error)")
        case is NIOSSLExtraError: CommandFailure("what answers at \(url) has a certificate for another address")
        default: CommandFailure("cannot reach the coordinator at \(url): \(reason(for: error))")
        }
    }

    /// What went wrong stands in the words of BoringSSL alone, whichever type carries them.
    private func tlsFailure(_ words: String) -> CommandFailure {
        if words.contains("CERTIFICATE_VERIFY_FAILED") {
            return CommandFailure(
                "what answers at \(url) is not the coordinator of the admin file: its certificate is of another CA, "
                    + "or has lapsed")
        }
        if words.contains("ALERT") {
            return CommandFailure(
                "the coordinator at \(url) does not accept the admin's certificate: it may have lapsed, "
                    + "or be of another mesh")
        }
        return CommandFailure("what answers at \(url) does not speak TLS as a coordinator does")
    }

    private func reason(for error: any Error) -> String {
        switch error {
        case let error as NIOConnectionError:
            error.connectionErrors.first.map { reason(for: $0.error) } ?? "no address is known for `\(error.host)`"
        case let error as IOError where error.errnoCode == ECONNREFUSED:
            "\(systemReason(ECONNREFUSED)); is it running?"
        case let error as IOError: systemReason(error.errnoCode)
        default: "\(error)"
        }
    }
}
