import Authorization
import CoordinationAPI
import Datapath
import Mesh

extension Node {
    /// Answers one caller of the local socket.
    package func serve(_ connection: LocalConnection) async {
        var requests = connection.requests.makeAsyncIterator()
        guard let received = await requests.next(isolation: self) else { return }
        do {
            let caller = try Caller(of: connection)
            switch received.request {
            case .status: connection.send(.status(try status()))
            case .why(let agent, let action, let service):
                connection.send(.explanation(try explain(agent, action, service)))
            case .run(let request): await run(request, received: received.descriptors, for: connection)
            case .attach(let id): try await attach(to: id, caller: caller, connection)
            case .endSession(let id):
                try endSession(id, caller: caller)
                connection.send(.ended)
            case .whois(let text): connection.send(.whois(try whois(text)))
            case .ping(let request): connection.send(.ping(try await ping(request)))
            case .doctor: connection.send(.doctor(await doctor()))
            case .up(let order): connection.send(try up(order, caller: caller))
            case .down: connection.send(try down(caller: caller))
            case .rotateKey: connection.send(try await rotateKey(for: caller))
            case .signal: throw NodeError("a signal is for a session that this connection runs")
            }
        } catch { connection.send(.failed("\(error)")) }
    }

    private func explain(
        _ agent: AgentName, _ action: String, _ service: ServiceName
    ) throws(NodeError) -> Explanation {
        guard action == MeshAction.connect.rawValue else {
            throw NodeError("nothing asks for the action `\(action.prefix(80))`: this version decides `connect` alone")
        }
        guard let policy else {
            throw NodeError("this node has no policies that can be read: nothing is allowed")
        }
        guard map?.services[service] != nil else {
            let reason = "no agent of this node can be granted a service of that name, if there is one"
            return Explanation(
                allowed: false, text: "denied: agent `\(agent)` may not connect to service `\(service)`: \(reason)",
                policies: [])
        }
        let now = trustedNow
        let decision = policy.decide(agent: agent, action: .connect, service: service, now: now)
        return Explanation(
            allowed: decision.isAllowed,
            text: policy.explain(agent: agent, action: .connect, service: service, now: now),
            policies: decision.policies)
    }
}
