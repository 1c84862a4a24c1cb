import CoordinationAPI
import Crypto
import Foundation
import Mesh
import Testing

@testable import PosternCLI

@Suite struct HandoverTests {
    private static let mesh = MeshDomain(unchecked: "demo.internal")
    private let ana = P256.Signing.PrivateKey()
    private let bob = P256.Signing.PrivateKey()
    private let eve = P256.Signing.PrivateKey()

    private var root: Fingerprint { Fingerprint(of: ana.publicKey) }

    private func signed(
        _ statement: Statement, by keys: P256.Signing.PrivateKey..., at second: Int64
    ) throws -> Envelope {
        let document = Document(
            mesh: Self.mesh, madeAt: Sample.now + .seconds(second), statement: statement)
        var envelope = try Envelope(signing: document, with: keys[0])
        for key in keys.dropFirst() { envelope = try envelope.signed(also: key) }
        return envelope
    }

    private func admin(_ name: String, _ key: P256.Signing.PrivateKey) -> Statement {
        .admin(AdminStatement(name: UserName(unchecked: name), key: SigningPublicKey(key.publicKey)))
    }

    private func agent(_ name: String) -> Statement {
        .agent(AgentDefinition(name: AgentName(unchecked: name), owner: UserName(unchecked: "ana")))
    }

    private func chain() throws -> [Envelope] {
        [try signed(admin("ana", ana), by: ana, at: 0), try signed(admin("bob", bob), by: ana, at: 1)]
    }

    @Test func `what the one who goes stands behind alone is said again, and then that he goes`() throws {
        let gone = Statement.removal(.node(NodeName(unchecked: "node-x")))
        let shown = try [
            signed(agent("one"), by: ana, at: 2), signed(agent("two"), by: bob, at: 3),
            signed(agent("three"), by: bob, ana, at: 4), signed(gone, by: bob, at: 5),
        ]
        let handover = try Handover(shown + chain().reversed(), of: Self.mesh, root: root)
        #expect(
            try handover.statements(removing: UserName(unchecked: "bob"))
                == [agent("two"), gone, .removal(.admin(UserName(unchecked: "bob")))])
    }

    @Test func `nobody is removed who is no admin, nor the last one`() throws {
        let handover = try Handover([chain()[0]], of: Self.mesh, root: root)
        #expect(throws: CommandFailure.self) { try handover.statements(removing: UserName(unchecked: "bob")) }
        #expect(throws: CommandFailure.self) { try handover.statements(removing: UserName(unchecked: "ana")) }
    }

    @Test func `nothing is signed for a coordinator that shows what no admin said`() throws {
        let forged = try signed(agent("two"), by: eve, at: 3)
        let altered = Envelope(
            document: forged.document, signatures: try signed(agent("three"), by: bob, at: 3).signatures)
        for envelope in [forged, altered] {
            let error = #expect(throws: CommandFailure.self) {
                try Handover(chain() + [envelope], of: Self.mesh, root: root)
            }
            #expect(error?.message.contains("no admin stands behind") == true)
        }
    }

    @Test func `nothing is signed on a chain that starts with another first admin`() throws {
        let theirs = try [signed(admin("eve", eve), by: eve, at: 0), signed(admin("ana", ana), by: eve, at: 1)]
        let error = #expect(throws: CommandFailure.self) { try Handover(theirs, of: Self.mesh, root: root) }
        #expect(error?.message.contains("nothing is signed") == true)
        let shownWithOurs = try theirs + [signed(admin("ana", ana), by: ana, at: -1)]
        #expect(throws: CommandFailure.self) { try Handover(shownWithOurs, of: Self.mesh, root: root) }
        #expect(throws: CommandFailure.self) { try Handover([], of: Self.mesh, root: root) }
    }
}
