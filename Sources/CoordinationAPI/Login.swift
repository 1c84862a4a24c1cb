package import Mesh

// How a person is proved to stand behind a session. Nobody but the person can make these, the coordinator neither:
//
//     the person's key  --signs-->  Login      another key, for a day at most: what `postern login` keeps
//     the login's key   --signs-->  Presence   one session, of one agent, on one node
//
// The session's statement carries both, so whoever is told of the session checks them himself.

/// What a person says of a key that stands for him for a while.
package struct LoginStatement: Codable, Equatable, Sendable {
    package let person: UserName
    package let key: SigningPublicKey
    package let notAfter: Timestamp

    package static let longest = Duration.seconds(86_400)

    package init(person: UserName, key: SigningPublicKey, notAfter: Timestamp) {
        (self.person, self.key, self.notAfter) = (person, key, notAfter)
    }
}

/// What a person says, by his login, of a session that is to run for him.
package struct PresenceStatement: Codable, Equatable, Sendable {
    package let session: SessionID
    package let agent: AgentName
    package let node: NodeName

    package init(session: SessionID, agent: AgentName, node: NodeName) {
        (self.session, self.agent, self.node) = (session, agent, node)
    }
}

/// For whom a session runs, as anybody can check who knows the people's keys.
package struct PersonProof: Codable, Equatable, Sendable {
    package let login: Envelope
    package let presence: Envelope

    package init(login: Envelope, presence: Envelope) { (self.login, self.presence) = (login, presence) }

    /// Whose signature the login bears; of a proof that was found to hold, the person's.
    package var signer: SigningPublicKey? { login.signatures.first.flatMap { SigningPublicKey($0.key) } }
}

/// A person, and the key that was found to be behind a proof: it is to be his still when the proof is relied on.
package struct ProvedPerson: Equatable, Sendable {
    package let name: UserName
    package let key: SigningPublicKey

    package init(name: UserName, key: SigningPublicKey) { (self.name, self.key) = (name, key) }
}

extension Envelope {
    /// The login in it, if the person's own key signed it.
    ///
    /// - Parameter people: those whom the mesh knows, with their keys.
    package func login(
        of people: [UserName: SigningPublicKey], in mesh: MeshDomain
    ) throws(LoginError) -> (statement: LoginStatement, madeAt: Timestamp, person: ProvedPerson) {
        // Who it is of is read before the signature is checked, to know whose that must be.
        guard document.utf8.count <= PersonProof.maximumLength, signatures.count == 1,
            case .login(let claimed)? = (try? JSON.decode(Document.self, from: Array(document.utf8)))?.statement
        else { throw .noLogin }
        guard let key = people[claimed.person] else { throw .unknown(claimed.person) }
        let signed = try signed(by: key, in: mesh)
        guard case .login(let login) = signed.statement, login == claimed else { throw .noLogin }
        guard login.notAfter > signed.madeAt, login.notAfter - signed.madeAt <= LoginStatement.longest else {
            throw .tooLong
        }
        return (login, signed.madeAt, ProvedPerson(name: login.person, key: key))
    }

    fileprivate func signed(by key: SigningPublicKey, in mesh: MeshDomain) throws(LoginError) -> Document {
        do { return try document(signedByOneOf: [key.key], of: mesh) } catch { throw .untrusted(error) }
    }
}

extension PersonProof {
    package static let maximumLength = 4096

    /// For whom a session runs, by what its statement carries.
    package func person(
        behind session: PresenceStatement, of people: [UserName: SigningPublicKey], in mesh: MeshDomain
    ) throws(LoginError) -> (person: ProvedPerson, madeAt: Timestamp) {
        let login = try login.login(of: people, in: mesh)
        guard presence.document.utf8.count <= Self.maximumLength else { throw .noLogin }
        let document = try presence.signed(by: login.statement.key, in: mesh)
        guard case .presence(let said) = document.statement, said == session else { throw .anotherSession }
        guard document.madeAt <= login.statement.notAfter else { throw .lapsed(login.statement.notAfter) }
        return (login.person, document.madeAt)
    }
}

/// Why nobody is believed to stand behind a session.
package enum LoginError: Error, Equatable, Sendable, CustomStringConvertible {
    case noLogin
    case unknown(UserName)
    case untrusted(EnvelopeError)
    case tooLong
    case lapsed(Timestamp)
    case anotherSession

    package var description: String {
        switch self {
        case .noLogin: "what came is no login"
        case .unknown(let person): "the mesh knows nobody `\(person)` whose login counts"
        case .untrusted(let error): "the login is not to be believed: \(error)"
        case .tooLong: "the login is for no time, or for more than a day"
        case .lapsed(let end): "the login ended at \(end): `postern login` makes another"
        case .anotherSession: "the login speaks of another session"
        }
    }
}
