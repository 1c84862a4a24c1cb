import CoordinationAPI
import Crypto
import Mesh
import Testing

/// How a person is proved to stand behind a session.
@Suite struct LoginTests {
    private let mesh = MeshDomain(unchecked: "demo.internal")
    private let now = Timestamp(rawValue: 1_800_000_000_000)
    private let ann = P256.Signing.PrivateKey()
    private let login = P256.Signing.PrivateKey()
    private let stranger = P256.Signing.PrivateKey()
    private let presence = PresenceStatement(
        session: SessionID(unchecked: String(repeating: "a", count: 32)), agent: AgentName(unchecked: "one"),
        node: NodeName(unchecked: "web-1"))
    private var people: [UserName: SigningPublicKey] {
        [
            UserName(unchecked: "ann"): SigningPublicKey(ann.publicKey),
            UserName(unchecked: "bob"): SigningPublicKey(stranger.publicKey),
        ]
    }

    @Test func `who signed a login, and by it the session, is proved`() throws {
        let proof = try self.proof()
        let (person, madeAt) = try proof.person(behind: presence, of: people, in: mesh)
        #expect(person == ProvedPerson(name: UserName(unchecked: "ann"), key: SigningPublicKey(ann.publicKey)))
        #expect(proof.signer == person.key)
        #expect(madeAt == now + .seconds(60))
    }

    @Test func `a login that another signed, or that was altered, is none`() throws {
        let forged = try self.proof(login: signedLogin(by: stranger))
        #expect(throws: LoginError.untrusted(.unsigned)) { try check(forged) }
        let honest = try signedLogin()
        let altered = Envelope(
            document: honest.document.replacing("1800", with: "1801"), signatures: honest.signatures)
        #expect(throws: LoginError.untrusted(.badSignature)) { try check(try self.proof(login: altered)) }
        let foreign = try signedLogin(of: MeshDomain(unchecked: "other.internal"))
        #expect(throws: LoginError.untrusted(.foreign(mesh: MeshDomain(unchecked: "other.internal")))) {
            try check(try self.proof(login: foreign))
        }
        let shared = try honest.signed(also: stranger)
        #expect(throws: LoginError.noLogin) { try check(try self.proof(login: shared)) }
    }

    @Test func `who is not known, or no more, proves nothing`() throws {
        let proof = try self.proof()
        #expect(throws: LoginError.unknown(UserName(unchecked: "ann"))) {
            try proof.person(behind: presence, of: [:], in: mesh)
        }
        // Another key of the same name.
        #expect(throws: LoginError.untrusted(.unsigned)) {
            try proof.person(
                behind: presence, of: [UserName(unchecked: "ann"): SigningPublicKey(stranger.publicKey)], in: mesh)
        }
    }

    @Test func `a proof is for one session, of one agent, on one node`() throws {
        let proof = try self.proof()
        let others = [
            PresenceStatement(
                session: SessionID(unchecked: String(repeating: "b", count: 32)), agent: presence.agent,
                node: presence.node),
            PresenceStatement(session: presence.session, agent: AgentName(unchecked: "two"), node: presence.node),
            PresenceStatement(session: presence.session, agent: presence.agent, node: NodeName(unchecked: "web-2")),
        ]
        for other in others {
            #expect(throws: LoginError.anotherSession) { try proof.person(behind: other, of: people, in: mesh) }
        }
    }

    @Test func `only the login's own key speaks by it, and while it is valid`() throws {
        for key in [ann, stranger] {
            #expect(throws: LoginError.untrusted(.unsigned)) { try check(try self.proof(signedBy: key)) }
        }
        let end = now + .seconds(3600)
        #expect(throws: LoginError.lapsed(end)) { try check(try self.proof(at: end + .milliseconds(1))) }
        try check(try self.proof(at: end))
    }

    @Test(arguments: [(0, true), (-1, true), (86_400, false), (86_401, true), (Int.max / 2000, true)])
    func `a login is for a day at most`(seconds: Int, isRefused: Bool) throws {
        let proof = try self.proof(login: signedLogin(lasting: seconds))
        guard isRefused else { return try check(proof) }
        #expect(throws: LoginError.tooLong) { try check(proof) }
    }

    @Test func `what is no login is refused whatever it is`() throws {
        for document in ["", "{}", "null", String(repeating: "[", count: 5000), "{\"statement\":{\"login\":{}}}"] {
            let envelope = Envelope(document: document, signatures: try signedLogin().signatures)
            #expect(throws: LoginError.noLogin) { try check(try self.proof(login: envelope)) }
        }
        // A presence in the place of the login.
        let proof = try self.proof()
        #expect(throws: LoginError.noLogin) {
            try check(PersonProof(login: proof.presence, presence: proof.presence))
        }
        #expect(throws: LoginError.self) { try check(PersonProof(login: proof.login, presence: proof.login)) }
    }

    private func check(_ proof: PersonProof) throws { _ = try proof.person(behind: presence, of: people, in: mesh) }

    private func signedLogin(
        by key: P256.Signing.PrivateKey? = nil, of mesh: MeshDomain? = nil, lasting seconds: Int = 3600
    ) throws -> Envelope {
        let statement = LoginStatement(
            person: UserName(unchecked: "ann"), key: SigningPublicKey(login.publicKey),
            notAfter: now + .seconds(seconds))
        return try Envelope(
            signing: Document(mesh: mesh ?? self.mesh, madeAt: now, statement: .login(statement)), with: key ?? ann)
    }

    private func proof(
        login: Envelope? = nil, signedBy key: P256.Signing.PrivateKey? = nil, at moment: Timestamp? = nil
    ) throws -> PersonProof {
        let document = Document(mesh: mesh, madeAt: moment ?? now + .seconds(60), statement: .presence(presence))
        return PersonProof(
            login: try login ?? signedLogin(), presence: try Envelope(signing: document, with: key ?? self.login))
    }
}
