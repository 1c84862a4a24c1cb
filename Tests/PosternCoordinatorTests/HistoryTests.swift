import CoordinationAPI
import Mesh
import Testing

@Suite struct HistoryTests {
    @Test func `what was said of policies is kept, the newest first`() async throws {
        try await withCoordinator { lab in
            let texts = ["// one", "// two"]
            for text in texts {
                _ = try await lab.change(try policy(text), try agent("a", nodes: [])).read(VersionResponse.self)
                lab.clock.advance(by: .seconds(1))
            }
            let removal = Statement.removal(.policy(try PolicyName("main.cedar")))
            let last = try await lab.change(removal).read(VersionResponse.self)
            let admin = try lab.adminClient()
            let history: PolicyHistory = try await admin.get("/v1/policy-history").read()
            let said = try history.changes.map {
                try JSON.decode(Document.self, from: Array($0.envelope.document.utf8)).statement
            }
            #expect(said == [removal, try policy(texts[1]), try policy(texts[0])])
            #expect(history.changes.first?.version == last.version)
            #expect(history.next == nil)
        }
    }

    @Test func `it comes in parts`() async throws {
        try await withCoordinator { lab in
            // Nine of these are more than one answer holds.
            let text = "//" + String(repeating: "x", count: PolicyDocument.maximumLength - 2)
            for number in 0..<9 {
                _ = try await lab.change(try policy(text.dropLast() + "\(number)")).read(VersionResponse.self)
                lab.clock.advance(by: .seconds(1))
            }
            let admin = try lab.adminClient()
            let first: PolicyHistory = try await admin.get("/v1/policy-history").read()
            let next = try #require(first.next)
            let second: PolicyHistory = try await admin.get("/v1/policy-history?before=\(next)").read()
            #expect(first.changes.count + second.changes.count == 9)
            #expect(second.next == nil)
            let versions = (first.changes + second.changes).map(\.version)
            #expect(versions == versions.sorted(by: >))
        }
    }

    @Test func `a node is not told`() async throws {
        try await withCoordinator { lab in
            let node = try await lab.join("web-1")
            try expect(try await lab.nodeClient(node).get("/v1/policy-history"), 403, "forbidden")
        }
    }
}
