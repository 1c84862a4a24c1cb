import Identity
import Mesh
import Testing

@Suite struct SPIFFEIDTests {
    @Test(arguments: [
        "spiffe://acme.example/node/web-1", "spiffe://acme.example/agent/crew/writer",
        "spiffe://acme.example/admin/ann.lee", "spiffe://acme.example/coordinator", "spiffe://acme/node/n",
    ])
    func `an identity reads back as the text it was`(text: String) throws {
        #expect(try SPIFFEID(text).description == text)
    }

    @Test func `an identity says who in which mesh`() throws {
        let id = try SPIFFEID("spiffe://acme.example/agent/crew/writer")
        #expect(id == SPIFFEID(mesh: try MeshDomain("acme.example"), role: .agent(try AgentName("crew/writer"))))
    }

    @Test(arguments: [
        "", "spiffe://", "spiffe:///node/a", "spiffe://acme", "spiffe://acme/", "spiffe://acme/node",
        "spiffe://acme/node/",
        "spiffe://acme/node/a/b", "spiffe://acme/node/a/", "spiffe://acme//node/a", "spiffe://acme/Node/a",
        "spiffe://acme/node/A", "spiffe://ACME/node/a", "SPIFFE://acme/node/a", "https://acme/node/a",
        "spiffe://acme/node/..", "spiffe://acme/node/%61", "spiffe://acme/node/a?x", "spiffe://acme/node/a#x",
        "spiffe://u@acme/node/a", "spiffe://acme:1/node/a", "spiffe://acme/coordinator/", "spiffe://acme/coordinator/a",
        "spiffe://acme/agent/a//b", "spiffe://acme/admin/a@b.example", "spiffe://acme/node/a\u{0}",
        "spiffe://acme/node/ä",
        "spiffe://acme/agent/" + String(repeating: "a/", count: 2000) + "a",
    ])
    func `what is not exactly an identity is refused`(text: String) {
        #expect(throws: IdentityError.self) { try SPIFFEID(text) }
    }
}
