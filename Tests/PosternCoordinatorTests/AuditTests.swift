import AsyncHTTPClient
import Audit
import CoordinationAPI
import Identity
import Mesh
import NIOCore
import NIOHTTP1
import PosternCoordinator
import Testing

@Suite struct AuditTests {
    private let newline = UInt8(ascii: "\n")

    @Test func `a node's records are stored once, and an admin exports what verifies`() async throws {
        try await withCoordinator { lab in
            let node = try await lab.join("node-a")
            let client = try lab.nodeClient(node)
            let records = try chain(5)
            #expect(try await client.send(records) == AuditReceipt(spool: 7, sequence: 5))
            #expect(try await client.send(records) == AuditReceipt(spool: 7, sequence: 5))
            let admin = try lab.adminClient()
            let head: AuditHead = try await admin.get("/v1/audit/head").read()
            #expect(head == AuditHead(first: 1, last: 5, since: 1))
            let seal = try await admin.get("/v1/audit/seal?first=1")
            let lines = try await admin.get("/v1/audit/lines?after=0")
            var verifier = LogVerifier(.export, key: try lab.ca.anchor.publicKey)
            for line in (seal.bytes + lines.bytes).split(separator: newline) { try verifier.take(Array(line)) }
            let report = try verifier.finish()
            #expect((report.records, report.vouched) == (5, 5))
            let page = try LogEntry.page(try await admin.get("/v1/audit/lines?after=2&count=2").bytes)
            #expect(page.map(\.number) == [3, 4])
        }
    }

    @Test func `a node that sends another node's records is refused, and nothing of it is stored`() async throws {
        try await withCoordinator { lab in
            let (a, b) = (try await lab.join("node-a"), try await lab.join("node-b"))
            let foreign = try await lab.nodeClient(b).post(try chain(1))
            try expect(foreign, 403, "forbidden", "record of node `node-a`")
            #expect(try await lab.nodeClient(a).send(try chain(1)).sequence == 1)
        }
    }

    @Test func `only nodes deliver, and only admins read`() async throws {
        try await withCoordinator { lab in
            let node = try await lab.join("node-a")
            try expect(try await lab.adminClient().post(try chain(1)), 403, "forbidden")
            try expect(try await lab.client().post(try chain(1)), 401, "unauthenticated")
            for path in ["head", "seal", "lines"] {
                try expect(try await lab.nodeClient(node).get("/v1/audit/\(path)"), 403, "forbidden")
                try expect(try await lab.client().get("/v1/audit/\(path)"), 401, "unauthenticated")
            }
        }
    }

    @Test func `another chain under the same numbers is a conflict, and what is no record is refused`() async throws {
        try await withCoordinator { lab in
            let client = try lab.nodeClient(try await lab.join("node-a"))
            _ = try await client.send(try chain(2))
            let other = AuditRecord(
                node: try NodeName("node-a"), spool: 7, sequence: 3, previous: .none,
                event: AuditEvent(.flowDenied, at: lab.clock.now))
            try expect(try await client.post([other]), 409, "conflict", "begin another chain")
            let answer = try await client.send(.POST, "/v1/audit", .bytes(ByteBuffer(string: "{}")))
            try expect(answer, 400, "invalid")
        }
    }

    @Test func `the log is there after a restart`() async throws {
        let directory = try TemporaryDirectory()
        try await withCoordinator(in: directory) { lab in
            let client = try lab.nodeClient(try await lab.join("node-a"))
            _ = try await client.send(try chain(3))
        }
        try await withCoordinator(in: directory) { lab in
            let head: AuditHead = try await lab.adminClient().get("/v1/audit/head").read()
            #expect(head.last == 3)
        }
    }

    private func chain(_ count: Int) throws -> [AuditRecord] {
        var (records, previous) = ([AuditRecord](), AuditHash.none)
        for number in 1...count {
            var event = AuditEvent(.flowDenied, at: Timestamp(rawValue: 1_700_000_000_000))
            event.agent = try AgentName("writer")
            records.append(
                AuditRecord(
                    node: try NodeName("node-a"), spool: 7, sequence: UInt64(number), previous: previous, event: event))
            previous = AuditHash(of: records[number - 1].text)
        }
        return records
    }
}

extension Client {
    fileprivate func post(_ records: [AuditRecord]) async throws -> Answer {
        let body = records.map(\.text).joined(separator: [UInt8(ascii: "\n")])
        return try await send(.POST, "/v1/audit", .bytes(ByteBuffer(bytes: Array(body))))
    }

    fileprivate func send(_ records: [AuditRecord]) async throws -> AuditReceipt { try await post(records).read() }
}
