import Mesh
import Testing

@Suite struct NamesTests {
    private static let longLabel = String(repeating: "a", count: 63)

    @Test(arguments: ["a", "node-a", "0", "a--b", longLabel])
    func `a label is a name of every kind`(text: String) throws {
        #expect(try NodeName(text).description == text)
        #expect(try ServiceName(text).rawValue == text)
        #expect(try GroupName(text).rawValue == text)
        #expect(try TagName(text).rawValue == text)
        #expect(try AgentName(text).rawValue == text)
        #expect(try MeshDomain(text).rawValue == text)
        #expect(try UserName(text).rawValue == text)
        #expect(try PolicyName(text).rawValue == text)
    }

    @Test(arguments: [
        "", "-a", "a-", "A", "a b", "a\u{0}", "a\n", "ä", "a.b", "a/b", "a_b", "a@b", longLabel + "a", "a\u{301}", "*",
        "..", "`",
    ])
    func `what is no label names no node, service, group or tag`(text: String) {
        #expect(throws: NameError.self) { try NodeName(text) }
        #expect(throws: NameError.self) { try ServiceName(text) }
        #expect(throws: NameError.self) { try GroupName(text) }
        #expect(throws: NameError.self) { try TagName(text) }
        #expect(NodeName(rawValue: text) == nil)
    }

    @Test(arguments: [
        ("crew/writer", "crew"), ("a/b/c", "a/b"), ("solo", nil),
    ])
    func `a role stands below its crew`(text: String, parent: String?) throws {
        #expect(try AgentName(text).parent?.rawValue == parent)
    }

    @Test(arguments: ["/a", "a/", "a//b", "a/../b", "a/-b"])
    func `a path with an empty or bad step names no agent`(text: String) {
        #expect(throws: NameError.self) { try AgentName(text) }
    }

    @Test(arguments: ["example.org", "a.b.c"])
    func `a DNS name names a mesh`(text: String) throws {
        #expect(try MeshDomain(text).rawValue == text)
    }

    @Test(arguments: [".a", "a.", "a..b", "a/b", "A.org"])
    func `what is no DNS name names no mesh`(text: String) {
        #expect(throws: NameError.self) { try MeshDomain(text) }
    }

    @Test(arguments: ["ana", "ana@example.org", "ana.lima@example.org"])
    func `an address of a person is a name`(text: String) throws {
        #expect(try UserName(text).rawValue == text)
    }

    @Test(arguments: ["demo.cedar", "team/base_rules.cedar", "a"])
    func `a relative path names a policy document`(text: String) throws {
        #expect(try PolicyName(text).rawValue == text)
    }

    @Test(arguments: ["/etc/x.cedar", "../x.cedar", "a//b", ".hidden", "x.", "X.cedar"])
    func `a path that leaves its folder names no policy document`(text: String) {
        #expect(throws: NameError.self) { try PolicyName(text) }
    }

    @Test func `a name is at most 253 bytes long`() throws {
        let parts = Array(repeating: Self.longLabel, count: 4).joined(separator: ".")
        #expect(parts.utf8.count == 255)
        #expect(throws: NameError.self) { try MeshDomain(parts) }
        #expect(try MeshDomain(String(parts.dropLast(2))).rawValue.utf8.count == 253)
    }

    @Test func `the error says what was wrong and how to do it right, and is short`() {
        let error = #expect(throws: NameError.self) { try NodeName(String(repeating: "X", count: 10_000)) }
        #expect((error?.description.utf8.count ?? .max) < 250)
        #expect(error?.description.contains("` is not a name for a node: use lower-case letters") == true)
    }

    @Test(arguments: [
        "", "0123456789abcdef", "0123456789ABCDEF0123456789ABCDEF", "0123456789abcdef0123456789abcdeg",
        "0123456789abcdef0123456789abcdef0",
    ])
    func `what is not 32 small hexadecimal digits is no session`(text: String) {
        #expect(throws: NameError.self) { try SessionID(text) }
    }

    @Test(arguments: seeds)
    func `a random session is a session`(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let id = SessionID.random(using: &generator)
        #expect(try SessionID(id.rawValue) == id)
        #expect(SessionID.random(using: &generator) != id)
    }
}
