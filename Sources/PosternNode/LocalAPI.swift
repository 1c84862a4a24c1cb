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
            if let hindrance, received.request != .doctor, received.request != .status { throw NodeError(hindrance) }
            switch received.request {
            case .status: connection.send(.status(try status()))
            case .why(let agent, let action, let service):
                connection.send(.explanation(try explain(agent, action, service)))
            case .run(let request): await run(request, received: received.descriptors, for: connection)
            case .attach(let id): try await attach(to: id, caller: caller, connection)
            case .endSession(let id):
                connection.send(.ended(try endSession(id, caller: caller)))
                await forgetIfCut(id)
            case .extendSession(let id):
                connection.send(.extended(try await extendSession(id, caller: caller)))
            case .rotateSession(let id):
                connection.send(.rotated(try await rotateKey(of: id, caller: caller)))
            case .whois(let text): connection.send(.whois(try whois(text)))
            case .ping(let request): connection.send(.ping(try await ping(request)))
            case .doctor: connection.send(.doctor(await doctor()))
            case .up(let order): connection.send(try up(order, caller: caller))
            case .down: connection.send(try down(caller: caller))
            case .rotateKey: connection.send(try await rotateKey(for: caller))
            case .signal, .present: throw NodeError("that is for a session that this connection runs")
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
        guard let map else { throw NodeError("this node has no map of the mesh yet: nothing is allowed") }
        if let stranger = stranger(agent, service, to: map) {
            return Explanation(
                allowed: false, text: "denied: agent `\(agent)` may not connect to service `\(service)`: \(stranger)",
                policies: [])
        }
        let now = trustedNow
        let decision = policy.decide(agent: agent, action: .connect, service: service, now: now)
        return Explanation(
            allowed: decision.isAllowed,
            text: policy.explain(agent: agent, action: .connect, service: service, now: now),
            policies: decision.policies)
    }
    /// What of a question this node is not told of: its map holds what its agents may be granted, and no more.
    private func stranger(_ agent: AgentName, _ service: ServiceName, to map: NetworkMap) -> String? {
        if map.agents[agent] == nil {
            return """
                no agent `\(agent)` that this node deals with is known here
                  it does not exist, or may not be launched on this node: `postern get agents` tells
                """
        }
        if map.services[service] == nil {
            return """
                no service `\(service)` that an agent of this node may reach is known here
                  it does not exist, or no policy grants it to any of them: `postern get services` tells
                  to allow it, add: permit (principal == Agent::"\(agent)", action == Action::"connect", resource == \
                Service::"\(service)");
                """
        }
        return nil
    }
}
