import AsyncHTTPClient
import CoordinationAPI
import Mesh
import NIOCore
import NIOHTTP1
import Testing

/// Whatever is sent: a clear refusal, nothing changed, and the next request is served.
@Suite struct HostileBodyTests {
    static let bodies = [
        "", " ", "null", "[]", "{}", "{", "\"", "0", "nul", "{\"documents\":0}", "{\"documents\":[{}]}",
        "{\"documents\":[{\"document\":\"\",\"signatures\":[]}]}",
        "{\"documents\":[{\"document\":\"{}\",\"signatures\":[{\"key\":\"\",\"value\":\"\"}]}]}",
        "{\"lifetimeSeconds\":\"1\"}", "{\"lifetimeSeconds\":1e999}", "{\"lifetimeSeconds\":9}",
        "{\"lifetimeSeconds\":600,\"node\":\"A B\"}", "{\"lifetimeSeconds\":600,\"node\":7}",
        "{\"secret\":\"\",\"request\":\"\",\"statement\":{\"document\":\"\",\"signatures\":[]}}",
        "{\"statement\":{\"document\":\"\\u0000\",\"signatures\":[]}}", "\u{0}\u{1}\u{2}", "{\"a\":\"\\ud800\"}",
        String(repeating: "[", count: 50_000), String(repeating: "{\"a\":", count: 10_000),
    ]

    @Test func `no body brings it down or changes anything`() async throws {
        try await withCoordinator { lab in
            let node = try lab.nodeClient(try await lab.join("web-1"))
            let (admin, stranger) = (try lab.adminClient(), try lab.client())
            let before = try await lab.version()
            for body in Self.bodies {
                let bytes = ByteBuffer(string: body)
                let answers = [
                    try await admin.send(.POST, "/v1/changes", .bytes(bytes)),
                    try await admin.send(.POST, "/v1/join-tokens", .bytes(bytes)),
                    try await node.send(.POST, "/v1/sessions", .bytes(bytes)),
                    try await stranger.send(.POST, "/v1/join", .bytes(bytes)),
                ]
                for answer in answers {
                    #expect([400, 401, 403].contains(answer.status), "\(answer.status) for \(body.prefix(80))")
                    #expect(try !answer.refusal.message.isEmpty)
                }
            }
            #expect(try await lab.version() == before)
        }
    }

    @Test func `bytes that are no text are refused`() async throws {
        try await withCoordinator { lab in
            let answer = try await lab.adminClient().send(
                .POST, "/v1/changes", .bytes(ByteBuffer(bytes: [0xff, 0xfe])))
            try expect(answer, 400, "invalid")
        }
    }

    @Test func `a body that says it is too long is refused unread`() async throws {
        try await withCoordinator { lab in
            let body = ByteBuffer(repeating: UInt8(ascii: " "), count: BodyLimit.request + 1)
            try expect(try await lab.adminClient().send(.POST, "/v1/changes", .bytes(body)), 413, "invalid")
            try expect(
                try await lab.client().send(.POST, "/v1/join", .bytes(body.getSlice(at: 0, length: 65_537) ?? body)),
                413, "invalid")
        }
    }

    @Test func `a body that does not say its length is read to the bound`() async throws {
        try await withCoordinator { lab in
            let chunks = AsyncStream<ByteBuffer> { stream in
                for _ in 0..<17 { stream.yield(ByteBuffer(repeating: UInt8(ascii: " "), count: 4096)) }
                stream.finish()
            }
            let answer = try await lab.client().send(.POST, "/v1/join", .stream(chunks, length: .unknown))
            try expect(answer, 413, "invalid")
        }
    }

    @Test(arguments: [
        "/", "/v1", "/v1/", "/v2/map", "/v1/map/", "//v1/map", "/v1/nothing", "/v1/sessions/", "/v1/sessions/xyz",
        "/v1/%6dap", "/v1/ca/../map", "/" + String(repeating: "a/", count: 2000),
    ])
    func `a path that is not there says so`(path: String) async throws {
        try await withCoordinator { lab in
            try expect(try await lab.adminClient().get(path), 404, "missing")
        }
    }

    @Test func `a method that a path does not take says so`() async throws {
        try await withCoordinator { lab in
            let client = try lab.adminClient()
            let wrong: [(HTTPMethod, String)] = [
                (.POST, "/v1/ca"), (.GET, "/v1/join"), (.PUT, "/v1/map"), (.PATCH, "/v1/registry"),
                (.DELETE, "/v1/changes"), (.GET, "/v1/sessions/\(testSession())"),
            ]
            for (method, path) in wrong { try expect(try await client.send(method, path), 405, "invalid") }
        }
    }

    @Test(arguments: [
        "/v1/map?epoch=x", "/v1/map?version=-1", "/v1/map?version=1&version=2",
        "/v1/map?epoch=99999999999999999999",
        "/v1/confirmations", "/v1/confirmations?version=1&node=A", "/v1/confirmations?version=1&node=",
        "/v1/confirmations?version=1" + String(repeating: "&node=a", count: 1001),
    ])
    func `a query that cannot be read says so`(path: String) async throws {
        try await withCoordinator { lab in
            let client = try lab.nodeClient(try await lab.join("web-1"))
            try expect(try await client.get(path), 400, "invalid")
        }
    }
}
