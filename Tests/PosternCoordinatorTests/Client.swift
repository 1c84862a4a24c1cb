import AsyncHTTPClient
import CoordinationAPI
import NIOCore
import NIOHTTP1
import Testing

/// An HTTPS client of a test.
struct Client: Sendable {
    let http: HTTPClient
    let base: String

    func get(_ path: String) async throws -> Answer { try await send(.GET, path) }
    func delete(_ path: String) async throws -> Answer { try await send(.DELETE, path) }

    func post(_ path: String, _ message: some Encodable) async throws -> Answer {
        try await send(.POST, path, .bytes(ByteBuffer(bytes: try JSON.encode(message))))
    }

    func send(_ method: HTTPMethod, _ path: String, _ body: HTTPClientRequest.Body? = nil) async throws -> Answer {
        var request = HTTPClientRequest(url: base + path)
        (request.method, request.body) = (method, body)
        let response = try await http.execute(request, timeout: .seconds(60))
        let bytes = try await response.body.collect(upTo: BodyLimit.response)
        return Answer(status: Int(response.status.code), bytes: Array(buffer: bytes))
    }
}

/// What came back.
struct Answer: Sendable {
    let status: Int
    let bytes: [UInt8]

    /// The message, where the answer is one.
    func read<Message: Decodable>(_ type: Message.Type = Message.self) throws -> Message {
        try #require(status == 200, "\(String(decoding: bytes, as: UTF8.self))")
        return try JSON.decode(type, from: bytes)
    }

    /// The refusal, where the answer is one.
    var refusal: ErrorResponse {
        get throws { try JSON.decode(ErrorResponse.self, from: bytes) }
    }
}

/// Expects a refusal with a status, a code and some words.
func expect(
    _ answer: Answer, _ status: Int, _ code: String, _ words: String = "",
    sourceLocation: SourceLocation = #_sourceLocation
) throws {
    #expect(answer.status == status, sourceLocation: sourceLocation)
    let refusal = try answer.refusal
    #expect(refusal.code == code, sourceLocation: sourceLocation)
    #expect(
        words.isEmpty || refusal.message.contains(words), "\(refusal.message)", sourceLocation: sourceLocation)
}
