import CoordinationAPI
import Crypto
import Mesh
import Testing

@testable import PosternCLI

@Suite struct RollbackTests {
    private static let mesh = MeshDomain(unchecked: "demo.internal")
    private let ana = P256.Signing.PrivateKey()
    private let bob = P256.Signing.PrivateKey()
    private let eve = P256.Signing.PrivateKey()

    private func signed(_ statement: Statement, by key: P256.Signing.PrivateKey, at second: Int64) throws -> Envelope {
        let document = Document(mesh: Self.mesh, madeAt: Sample.now + .seconds(second), statement: statement)
        return try Envelope(signing: document, with: key)
    }

    private func admin(_ name: String, _ key: P256.Signing.PrivateKey) -> Statement {
        .admin(AdminStatement(name: UserName(unchecked: name), key: SigningPublicKey(key.publicKey)))
    }

    private func policy(_ name: String, _ text: String) -> PolicyDocument {
        PolicyDocument(name: PolicyName(unchecked: name), text: text)
    }

    private func removal(_ name: String) -> Statement { .removal(.policy(PolicyName(unchecked: name))) }

    /// Ana from 0 s on; Bob from 10 s to 50 s.
    private func chain() throws -> AdminChain {
        try AdminChain(
            shown: [
                signed(admin("ana", ana), by: ana, at: 0), signed(admin("bob", bob), by: ana, at: 10),
                signed(.removal(.admin(UserName(unchecked: "bob"))), by: ana, at: 50),
            ], of: Self.mesh, root: Fingerprint(of: ana.publicKey))
    }

    private func timeline(_ changes: [(UInt64, Envelope)]) throws -> PolicyTimeline {
        try PolicyTimeline(changes.reversed().map { .init(version: $0.0, envelope: $0.1) }, chain: try chain())
    }

    private func registry(_ policies: [PolicyDocument]) -> Registry {
        Registry(mesh: Self.mesh, version: 20, nodes: [], agents: [], services: [], policies: policies, sessions: [])
    }

    private func rollback(
        to version: UInt64, _ changes: [(UInt64, Envelope)], now: [PolicyDocument]
    ) throws -> PolicyRollback {
        try PolicyRollback(to: version, in: timeline(changes), from: registry(now), chain: chain())
    }

    private func history() throws -> [(UInt64, Envelope)] {
        [
            (3, try signed(.policy(policy("a", "old")), by: ana, at: 5)),
            (4, try signed(.policy(policy("b", "gone")), by: bob, at: 20)),
            (5, try signed(.policy(policy("same", "same")), by: ana, at: 21)),
            (8, try signed(.policy(policy("a", "new")), by: ana, at: 30)),
            (9, try signed(removal("b"), by: ana, at: 31)),
            (9, try signed(.policy(policy("c", "added")), by: ana, at: 31)),
        ]
    }

    private var now: [PolicyDocument] { [policy("a", "new"), policy("c", "added"), policy("same", "same")] }

    @Test func `what was changed or removed comes back, and what was added goes`() throws {
        let rollback = try rollback(to: 5, history(), now: now)
        #expect(rollback.restored == [policy("a", "old"), policy("b", "gone")])
        #expect(rollback.removed == [PolicyName(unchecked: "c")])
        #expect(rollback.formerSigners == [UserName(unchecked: "bob")])
        var policies = now
        rollback.apply(to: &policies)
        #expect(
            policies.sorted { $0.name < $1.name } == [policy("a", "old"), policy("b", "gone"), policy("same", "same")])
    }

    @Test func `at the first version there was none, and at the last nothing changes`() throws {
        #expect(try rollback(to: 1, history(), now: now).removed.count == 3)
        #expect(try rollback(to: 20, history(), now: now).statements.isEmpty)
        let error = #expect(throws: CommandFailure.self) { try rollback(to: 21, history(), now: now) }
        #expect(error?.message.contains("there is no version 21") == true)
    }

    @Test func `who made a change is told by his signature, while he was an admin`() throws {
        let said = Statement.policy(policy("a", "text"))
        let changes = try [
            (2, signed(said, by: bob, at: 9)), (3, signed(said, by: bob, at: 10)), (4, signed(said, by: eve, at: 20)),
            (5, signed(said, by: bob, at: 50)), (6, signed(said, by: ana, at: 60)),
        ].map { (UInt64($0.0), $0.1) }
        #expect(
            try timeline(changes).entries.reversed().map { $0.by.map(\.rawValue) } == [[], ["bob"], [], [], ["ana"]])
    }

    @Test func `nothing is restored or removed that no admin of its time signed`() throws {
        for forged in [Statement.policy(policy("a", "theirs")), removal("a")] {
            var changes = try history()
            changes.insert((6, try signed(forged, by: eve, at: 25)), at: 3)
            let error = #expect(throws: CommandFailure.self) { try rollback(to: 6, changes, now: now) }
            #expect(error?.message.contains("no admin of its time") == true)
        }
        var altered = try history()
        let text = altered[0].1.document.replacing("old", with: "odd")
        altered[0].1 = Envelope(document: text, signatures: altered[0].1.signatures)
        #expect(throws: CommandFailure.self) { try rollback(to: 5, altered, now: now) }
    }

    @Test func `a history that does not lead to what there is now is not followed`() throws {
        let error = #expect(throws: CommandFailure.self) { try rollback(to: 5, history().dropLast(), now: now) }
        #expect(error?.message.contains("withholds") == true)
    }

    @Test func `a history that is out of order is not believed`() throws {
        var changes = try history()
        changes.swapAt(0, 3)
        #expect(throws: CommandFailure.self) { try timeline(changes) }
        let again = try [(3, history()[0].1), (8, history()[3].1), (9, history()[0].1)].map { (UInt64($0.0), $0.1) }
        let error = #expect(throws: CommandFailure.self) { try timeline(again) }
        #expect(error?.message.contains("out of order at version") == true)
    }

    @Test func `what is no statement about a policy is no history`() throws {
        let other = try signed(.removal(.agent(AgentName(unchecked: "x"))), by: ana, at: 5)
        #expect(throws: CommandFailure.self) { try timeline([(3, other)]) }
        #expect(throws: CommandFailure.self) { try timeline([(3, Envelope(document: "{", signatures: []))]) }
    }
}
