import Foundation
import Mesh
import Telemetry
import Testing

struct MetricsServerTests {
    private static let loopback = IPAddress.v4(IPv4Address("127.0.0.1")!)

    /// Runs a server, asks it, and gives the bytes that came back, for each request on a connection of its own.
    private func asking(_ requests: [String]) async throws -> [String] {
        // Tests that compute keep others waiting for long.
        let server = try await MetricsServer(at: Self.loopback, port: 0, patience: .seconds(300)) {
            [MetricFamily("postern_up", .gauge, "It is up.", 1)]
        }
        return try await withThrowingTaskGroup { group in
            group.addTask { try? await server.run() }
            defer { group.cancelAll() }
            var answers: [String] = []
            for request in requests { answers.append(try await exchange(request, port: server.port)) }
            return answers
        }
    }

    @Test func `metrics are at one path, for who reads them`() async throws {
        let answers = try await asking([
            "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            "HEAD /metrics?x=y HTTP/1.1\r\nHost: a\r\n\r\n",
        ])
        #expect(answers[0].hasPrefix("HTTP/1.1 200"))
        #expect(answers[0].contains("\npostern_up 1\n"))
        #expect(answers[0].contains("\nprocess_cpu_seconds_total "))
        #expect(answers[1].hasPrefix("HTTP/1.1 404"))
        #expect(answers[2].hasPrefix("HTTP/1.1 405"))
        #expect(answers[3].hasPrefix("HTTP/1.1 200"))
        #expect(!answers[3].contains("postern_up"))
    }

    @Test func `nonsense ends its connection, and the next one is served`() async throws {
        let answers = try await asking([
            "\u{16}\u{3}\u{1}\r\n\r\n", "GET /" + String(repeating: "a", count: 100_000) + " HTTP/1.1\r\n\r\n",
            "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n",
        ])
        #expect(!answers[0].contains("postern_up"))
        #expect(!answers[1].contains("postern_up"))
        #expect(answers[2].contains("postern_up 1"))
    }

    @Test func `who asks nothing is sent away`() async throws {
        let server = try await MetricsServer(at: Self.loopback, port: 0, patience: .milliseconds(100)) { [] }
        try await withThrowingTaskGroup { group in
            group.addTask { try? await server.run() }
            defer { group.cancelAll() }
            let answer = try await exchange("GET /metrics HTTP/1.1\r\n", port: server.port)
            #expect(!answer.contains("200"))
        }
    }

    @Test func `a place that is taken is an error at the start`() async throws {
        let first = try await MetricsServer(at: Self.loopback, port: 0) { [] }
        let failure = await #expect(throws: MetricsError.self) {
            _ = try await MetricsServer(at: Self.loopback, port: UInt16(first.port)) { [] }
        }
        #expect("\(try #require(failure))".contains("address already in use"))
    }
}

/// One request over a connection of its own: all that comes back until the other side hangs up.
private func exchange(_ request: String, port: Int) async throws -> String {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread {
            let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            defer { close(socket) }
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = UInt16(port).bigEndian
            address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
            let connected = unsafe withUnsafePointer(to: &address) {
                unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            guard connected == 0 else {
                continuation.resume(throwing: POSIXError(.ECONNREFUSED))
                return
            }
            let bytes = Array(request.utf8)
            _ = unsafe bytes.withUnsafeBytes { unsafe send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            var answer: [UInt8] = []
            var chunk = [UInt8](repeating: 0, count: 4096)
            while true {
                let count = unsafe chunk.withUnsafeMutableBytes { unsafe recv(socket, $0.baseAddress, $0.count, 0) }
                guard count > 0 else { break }
                answer += chunk[..<count]
            }
            continuation.resume(returning: String(decoding: answer, as: UTF8.self))
        }
    }
}
