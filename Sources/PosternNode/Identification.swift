import CoordinationAPI
import Datapath
import Logging
import Mesh

// `postern run --for me`: whoever comes with a login signs, by its key, for the one session that is to be made. A claim
// is no proof, and a proof for another session, agent or node is none for this one.
extension Node {
    /// A person's own key asks nobody; a login may lie on a token that wants to be touched.
    private static let answerPatience = Duration.seconds(60)
    /// Between the clocks of whoever signs and of the mesh.
    private static let clockError = Duration.seconds(60)

    /// The proof that a session is to run for the person whose login came with the request; nil where none came.
    func identify(
        _ request: RunRequest, for session: SessionID, on connection: LocalConnection
    ) async throws(NodeError) -> (proof: PersonProof, name: UserName)? {
        guard let login = request.login else { return nil }
        guard belief != nil else {
            throw NodeError("this node has no map of the mesh yet: is the coordinator reachable?")
        }
        let wanted = PresenceStatement(session: session, agent: request.agent, node: local.name)
        // Before anybody is asked: this is what can be known already.
        do {
            let (statement, _, person) = try login.login(of: people, in: membership.mesh)
            guard time.utc(at: .now()) <= statement.notAfter else { throw LoginError.lapsed(statement.notAfter) }
            log.debug("session \(session) is to run for `\(person.name)`")
        } catch { throw Self.unproved(error) }
        connection.send(.identify(wanted))
        guard let presence = await answer(on: connection) else {
            throw NodeError(
                "nobody proved for whom the session is to run: no answer came within \(Self.answerPatience)")
        }
        let proof = PersonProof(login: login, presence: presence)
        let person: ProvedPerson
        let madeAt: Timestamp
        do { (person, madeAt) = try proof.person(behind: wanted, of: people, in: membership.mesh) } catch {
            throw Self.unproved(error)
        }
        let age = time.utc(at: .now()) - madeAt
        guard age <= Self.answerPatience + Self.clockError, age >= .zero - Self.clockError else {
            throw NodeError("the proof of the person was made at \(madeAt), which is not now: check the clocks")
        }
        return (proof, person.name)
    }

    /// Those whose logins count.
    private var people: [UserName: SigningPublicKey] { belief?.chain.admins ?? [:] }

    private static func unproved(_ error: any Error) -> NodeError {
        NodeError("the session cannot run for a person: \(error)")
    }

    /// Nil when another request came, none in time, or the caller hung up.
    private func answer(on connection: LocalConnection) async -> Envelope? {
        await withTaskGroup(of: Envelope?.self) { group in
            group.addTask {
                var requests = connection.requests.makeAsyncIterator()
                guard case .present(let presence)? = await requests.next()?.request else { return nil }
                return presence
            }
            group.addTask {
                try? await Task.sleep(for: Self.answerPatience)
                return nil
            }
            defer { group.cancelAll() }
            return await group.next() ?? nil
        }
    }
}
