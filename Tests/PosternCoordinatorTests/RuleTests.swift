import CoordinationAPI
import Crypto
import HTTPTypes
import Identity
import Mesh
import Testing

@testable import PosternCoordinator

private let now = Timestamp(rawValue: 1_800_000_000_000)

/// The decisions that need no database.
@Suite struct RuleTests {
    /// All points of low order (cr.yp.to/ecdh.html#validate), and encodings that X25519 reads as another key.
    static let badKeys = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "f6ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0900000000000000000000000000000000000000000000000000000000000080",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ]

    @Test(arguments: badKeys)
    func `a WireGuard key that is no peer's is refused`(text: String) throws {
        let key = try #require(bytes(hex: text).flatMap(WireGuardPublicKey.init(bytes:)))
        #expect(throws: Refusal.self) { try PeerRules.check(key) }
    }

    @Test(arguments: [
        ("192.0.2.1:1", true), ("[2001:db8::1]:1", true), ("[fd12::1]:1", true), ("127.0.0.1:1", false),
        ("0.0.0.0:1", false), ("224.0.0.1:1", false), ("10.64.0.1:1", false), ("[::]:1", false), ("[::1]:1", false),
        ("[fe80::1]:1", false), ("[ff02::1]:1", false), ("[::ffff:7f00:1]:1", false), ("[fd00:1:2:3::4]:1", false),
    ])
    func `an endpoint is one that other machines can reach outside the mesh`(text: String, good: Bool) throws {
        let pool = try #require(
            AddressPool(v4Base: IPv4Address(rawValue: 0x0a40_0000), v6Prefix: 0xfd00_0001_0002_0003))
        let endpoint = try #require(Endpoint(text))
        #expect(((try? PeerRules.check(endpoint, pool: pool)) != nil) == good)
    }

    @Test func `a WireGuard key that was made as one is accepted`() throws {
        for _ in 0..<100 { try PeerRules.check(testKey()) }
    }

    @Test(arguments: [(-600_001, false), (-600_000, true), (0, true), (600_000, true), (600_001, false)])
    func `a document is fresh for ten minutes either way`(milliseconds: Int, fresh: Bool) {
        let madeAt = now + .milliseconds(milliseconds)
        #expect(((try? Freshness.check(madeAt, now: now)) != nil) == fresh)
    }

    @Test(arguments: [Int64.min, .max])
    func `a document of no time at all is not fresh`(moment: Int64) {
        #expect(throws: Refusal.self) { try Freshness.check(Timestamp(rawValue: moment), now: now) }
    }

    @Test func `a node has so many sessions and no more`() throws {
        let claim = try claim()
        var facts = SessionFacts(
            agents: [try AgentName("a"): try definition()], existing: nil, people: [:], mesh: mesh, keyTaken: false,
            sessionsOfNode: SessionLimit.perNode - 1, free: MeshOffset(rawValue: 7))
        let place = try Sessions.decide(claim, facts, now: now)
        #expect(place == .new(try #require(MeshOffset(rawValue: 7)), expires: now + SessionLimit.lease))
        facts.sessionsOfNode += 1
        #expect(throws: Refusal.self) { try Sessions.decide(claim, facts, now: now) }
    }

    @Test func `a full pool starts nothing`() throws {
        let facts = SessionFacts(
            agents: [try AgentName("a"): try definition()], existing: nil, people: [:], mesh: mesh, keyTaken: false,
            sessionsOfNode: 0, free: nil)
        #expect(throws: Refusal.self) { try Sessions.decide(try claim(), facts, now: now) }
    }

    @Test func `the last lease ends with the longest duration`() throws {
        let claim = try claim()
        let facts = try facts(of: claim, started: now + .seconds(-8 * 3600 + 60), expires: now + .seconds(30))
        #expect(try Sessions.decide(claim, facts, now: now) == .restated(expires: now + .seconds(60)))
    }

    @Test func `a lease that has ended is not renewed`() throws {
        let claim = try claim()
        let facts = try facts(of: claim, started: now + .seconds(-900), expires: now)
        #expect(throws: Refusal.self) { try Sessions.decide(claim, facts, now: now) }
        let before = now + .milliseconds(-1)
        #expect(try Sessions.decide(claim, facts, now: before) == .restated(expires: before + SessionLimit.lease))
    }

    @Test func `a lease that ended while the coordinator was away is renewed in its first minute`() throws {
        let claim = try claim()
        var facts = try facts(of: claim, started: now + .seconds(-3600), expires: now + .seconds(-1800))
        facts.grace = now + .seconds(1)
        #expect(try Sessions.decide(claim, facts, now: now) == .restated(expires: now + SessionLimit.lease))
        facts.grace = now
        #expect(throws: Refusal.self) { try Sessions.decide(claim, facts, now: now) }
        // Its longest duration is its longest, whoever was away.
        let old = try self.facts(of: claim, started: now + .seconds(-8 * 3600), expires: now + .seconds(-60))
        facts.existing = old.existing
        facts.grace = now + .seconds(1)
        #expect(throws: Refusal.self) { try Sessions.decide(claim, facts, now: now) }
    }

    @Test func `a bucket gives what it holds at once, and then so much a second`() {
        var bucket = TokenBucket(capacity: 5, perSecond: 2, now: now)
        func taken(_ count: Int, after span: Duration) -> Int {
            (0..<count).reduce(0) { sum, _ in sum + (bucket.take(now: now + span) ? 1 : 0) }
        }
        let counts = [
            taken(6, after: .zero), taken(1, after: .milliseconds(499)), taken(2, after: .milliseconds(500)),
            taken(1, after: .seconds(-3600)), taken(9, after: .seconds(3600)),
        ]
        #expect(counts == [5, 0, 1, 0, 5])
    }

    @Test func `lineage is the agent and all above it`() throws {
        #expect(try AgentName("a/b/c").lineage.map(\.rawValue) == ["a/b/c", "a/b", "a"])
    }

    @Test(arguments: ["https://127.0.0.1:8443", "https://coordinator.acme.example:1", "https://[2001:db8::1]:8443"])
    func `a coordinator's URL reads back as it was`(text: String) {
        #expect(CoordinatorURL(text)?.description == text)
    }

    @Test(arguments: [
        "", "https://", "http://a:1", "https://a:0", "https://a:65536", "https://a:1/", "https://a:1/x",
        "https://a:1:2",
        "https://u@a:1", "https://a?:1", "HTTPS://a:1", "https://::1:1", "https://[::1", "https://[::1]1",
        "https://[::1]:", "https://[fe80::1%eth0]:1",
        "https://[127.0.0.1]:1", "https://a b:1",
    ])
    func `what is no coordinator's URL is refused`(text: String) { #expect(CoordinatorURL(text) == nil) }

    @Test(arguments: ["0.0.0.0:8443", "[::]:8443", "[2001:db8::1]:0"])
    func `where to listen reads back as it was`(text: String) {
        #expect(ListenAddress(text)?.description == text)
    }

    @Test(arguments: ["", ":1", "::", "::1:8443", "[::1]", "127.0.0.1", "127.0.0.1:65536", "localhost:1"])
    func `what is no address with a port is refused`(text: String) { #expect(ListenAddress(text) == nil) }

    @Test func `a token's secret prints as redacted, and no two are the same`() {
        let secrets = (0..<100).map { _ in TokenSecret() }
        #expect("\(secrets[0])" == "redacted")
        #expect(Set(secrets.map(\.text)).count == 100)
        #expect(secrets.allSatisfy { $0.text.utf8.count == 43 })
    }

    @Test func `random paths and queries are read or refused`() {
        var generator = SystemRandomNumberGenerator()
        let pieces = [
            "/", "v1", "map", "sessions", "join", "ca", "?", "&", "=", "%", "..", "\u{0}", "é", "0", "f", "have",
        ]
        for _ in 0..<5000 {
            let text = (0..<Int.random(in: 0...9)).map { _ in pieces.randomElement(using: &generator) ?? "" }.joined()
            _ = try? Route(.get, text)
            _ = try? Query(text).number("have")
        }
    }

    @Test func `who stands behind a session is proved at its start, and while it goes on`() throws {
        let (ann, login) = (SigningKey(), SigningKey())
        let people = [try UserName("ann"): SigningPublicKey(ann.publicKey)]
        func proved(at moment: Timestamp) throws -> SessionClaim {
            try claim { presence in
                let said = LoginStatement(
                    person: try UserName("ann"), key: SigningPublicKey(login.publicKey), notAfter: now + .seconds(60))
                return PersonProof(
                    login: try sign(.login(said), with: ann, at: moment),
                    presence: try sign(.presence(presence), with: login, at: moment))
            }
        }
        func decide(_ claim: SessionClaim, _ people: [UserName: SigningPublicKey]) throws -> SessionPlace {
            let facts = SessionFacts(
                agents: [try AgentName("a"): try definition()], existing: nil, people: people, mesh: mesh,
                keyTaken: false, sessionsOfNode: 0, free: MeshOffset(rawValue: 7))
            return try Sessions.decide(claim, facts, now: now)
        }
        let fresh = try proved(at: now)
        guard case .new = try decide(fresh, people) else { throw Refusal.invalid("it does not start") }
        #expect(throws: Refusal.self) { try decide(fresh, [:]) }
        // One from before may have been made for a session that nobody wants any more.
        #expect(throws: Refusal.self) { try decide(try proved(at: now + .seconds(-3600)), people) }
        let running = try facts(of: fresh, started: now, expires: now + .seconds(60), people: people)
        guard case .restated = try Sessions.decide(fresh, running, now: now) else {
            throw Refusal.invalid("it does not go on")
        }
        // For nobody, or for another, it is another session.
        #expect(throws: Refusal.self) { try Sessions.decide(try claim(), running, now: now) }
        let orphaned = try facts(of: fresh, started: now, expires: now + .seconds(60))
        #expect(throws: Refusal.self) { try Sessions.decide(fresh, orphaned, now: now) }
    }

    private var mesh: MeshDomain { MeshDomain(unchecked: "acme.example") }

    private func sign(_ statement: Statement, with key: SigningKey, at moment: Timestamp) throws -> Envelope {
        try Envelope(signing: Document(mesh: mesh, madeAt: moment, statement: statement), with: key.privateKey)
    }

    private func facts(
        of claim: SessionClaim, started: Timestamp, expires: Timestamp, people: [UserName: SigningPublicKey] = [:]
    ) throws -> SessionFacts {
        SessionFacts(
            agents: [try AgentName("a"): try definition()],
            existing: try record(of: claim, started: started, expires: expires),
            people: people, mesh: mesh, keyTaken: false, sessionsOfNode: 1, free: nil)
    }

    private func record(of claim: SessionClaim, started: Timestamp, expires: Timestamp) throws -> SessionRecord {
        guard case .statement(let statement) = claim.kind else { throw Refusal.invalid("it is a renewal") }
        return SessionRecord(
            statement: statement, madeAt: claim.madeAt + .seconds(-1), envelope: claim.envelope,
            peer: try #require(PeerID(rawValue: 3)), offset: try #require(MeshOffset(rawValue: 3)), started: started,
            expires: expires)
    }

    private func definition() throws -> AgentDefinition {
        AgentDefinition(name: try AgentName("a"), owner: try UserName("ann"), nodes: [try NodeName("web-1")])
    }

    private func claim(for person: (PresenceStatement) throws -> PersonProof? = { _ in nil }) throws -> SessionClaim {
        let key = SigningKey()
        let presence = PresenceStatement(session: testSession(), agent: try AgentName("a"), node: try NodeName("web-1"))
        let statement = SessionStatement(
            id: presence.session, agent: presence.agent, node: presence.node, key: testKey(),
            endpoints: [try #require(Endpoint("192.0.2.7:51900"))], person: try person(presence))
        let envelope = try sign(.session(statement), with: key, at: now)
        var generator = SystemRandomNumberGenerator()
        return try SessionClaim(
            envelope, node: statement.node, key: key.publicKey, mesh: mesh, pool: .random(using: &generator), now: now)
    }
}
