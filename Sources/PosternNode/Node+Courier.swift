import CoordinationAPI
import Datapath
import Identity
import Logging
import Mesh
import WireGuard

// What nodes tell each other of sessions while the coordinator does not answer.
extension Node {
    /// Renews a session without the coordinator: for as long as it, and the map, may last.
    func renewAlone(_ session: LocalSession) throws(NodeError) -> Timestamp {
        guard let belief, let known = belief.map.sessions[session.id] else {
            throw NodeError("the map does not hold session `\(session.id)`")
        }
        let now = time.utc(at: .now())
        let until = min(now + belief.sessionLease, known.maximum, belief.map.validUntil)
        guard until > known.expires else { return known.expires }
        try say(.renewal(SessionRenewal(id: session.id, expires: until)), of: session.id, now: now)
        return until
    }

    /// Tells the nodes that a session has ended, and the coordinator when it is back.
    func endAlone(_ id: SessionID) throws(NodeError) {
        if unreportedEnds.count < BelievedMap.maximumEnded { unreportedEnds.insert(id) }
        defer { lastGranted[id] = nil }
        guard belief?.map.sessions[id] != nil else { return }
        try say(.sessionEnd(id), of: id, now: time.utc(at: .now()))
    }

    /// Signs what is to be said, believes it here, and sends it to the nodes that hold a service granted to the session.
    private func say(_ statement: Statement, of id: SessionID, now: Timestamp) throws(NodeError) {
        let envelope: Envelope
        let bytes: [UInt8]
        do {
            envelope = try Envelope(
                signing: Document(mesh: membership.mesh, madeAt: now, statement: statement), with: signer.privateKey)
            bytes = try JSON.encode(envelope)
        } catch { throw NodeError("what is to be said of session `\(id)` cannot be written: \(error)") }
        let nodes = (plan.grantedNodes[id] ?? lastGranted[id] ?? []).subtracting([local.name])
        // The end of the last session that a node shares with this one must reach it too.
        for node in nodes { correspondents[node] = .now() + Courier.patience }
        try hear(envelope, now: now)
        let addresses = nodes.compactMap { map?.nodes[$0] }.map { membership.pool.ipv4(at: $0.offset) }
        courier.take(bytes, about: id, to: addresses, now: .now())
        newLetters.yield()
    }

    /// Believes what a session's node says, keeps it, and acts on it.
    private func hear(_ envelope: Envelope, now: Timestamp) throws(NodeError) {
        guard let news = try belief?.news(in: envelope, now: now) else { throw NodeError("there is no map") }
        guard news != .old else { return }
        keep(envelope, at: now)
        belief?.take(news)
        endForgottenSessions()
        reconcile()
    }

    /// Takes the datagrams that wait.
    func receiveLetters(from socket: MeshSocket) {
        for _ in 0..<256 {
            guard let (bytes, address, port) = socket.receive() else { return }
            guard let name = node(at: address), letterLimit.allows(name, now: .now()) else { continue }
            if let answer = Greeting.answer(to: bytes) { socket.send(answer, to: address, port: port) }
            switch Courier.read(bytes) {
            case nil: continue
            case .answer(let digest): courier.acknowledge(digest, by: address)
            case .letter(let text):
                do {
                    try hear(try JSON.decode(Envelope.self, from: text), now: time.utc(at: .now()))
                    socket.send(Courier.answer(to: text), to: address, port: port)
                } catch { log.debug("what node `\(name)` says is not believed: \(error)") }
            }
        }
    }

    /// Who has a mesh address.
    private func node(at address: IPv4Address) -> NodeName? {
        guard let offset = membership.pool.offset(of: address) else { return nil }
        return map?.nodes.values.first { $0.offset == offset }?.name
    }

    /// Sends what is due; whether there will be more.
    @discardableResult
    func sendLetters() -> Bool {
        for letter in courier.due(now: .now()) { meshSocket?.send(letter.bytes, to: letter.to) }
        return courier.count > 0
    }

    /// The socket on this node's mesh address; another one once the address is another.
    func openMeshSocket() -> MeshSocket? {
        guard let own = map?.nodes[local.name] else { return nil }
        let address = membership.pool.ipv4(at: own.offset)
        if meshSocket?.address != address {
            do { meshSocket = try MeshSocket(address) } catch {
                meshSocket = nil
                log.error("nodes cannot tell this one of sessions: \(error)")
            }
        }
        letterLimit.keep(map?.nodes.keys.map(\.self) ?? [])
        return meshSocket
    }

    /// The coordinator is back: it hears of the sessions that ended without it.
    func reportEnds() async {
        for id in unreportedEnds {
            do {
                _ = try await client.end(id)
                unreportedEnds.remove(id)
            } catch CoordinatorError.refused {
                // It does not know the session any more.
                unreportedEnds.remove(id)
            } catch { return }
        }
    }
}

extension NodeService {
    /// Listens to the other nodes, and sends them again what they have not answered.
    func exchangeLetters() async {
        await withDiscardingTaskGroup { group in
            group.addTask {
                for await _ in node.letters {
                    while !Task.isCancelled, await node.sendLetters() { try? await Task.sleep(for: .seconds(1)) }
                }
            }
            while !Task.isCancelled {
                if let socket = await node.openMeshSocket() {
                    await listen(at: socket)
                } else {
                    try? await Task.sleep(for: .seconds(1))
                }
            }
        }
    }

    /// Listens until the task is cancelled, or the node has another address.
    private func listen(at socket: MeshSocket) async {
        guard let stop = try? StopSignal() else { return }
        let (wakeUps, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        await withDiscardingTaskGroup { group in
            group.addTask {
                await onThread("postern-letters", stop: stop) {
                    while !readable([stop.descriptor, socket.descriptor]).contains(0) {
                        continuation.yield()
                        // The socket stays readable until the node has read it: a pause keeps this from spinning.
                        if !readable([stop.descriptor], timeout: 5).isEmpty { break }
                    }
                    continuation.finish()
                }
            }
            for await _ in wakeUps {
                await node.receiveLetters(from: socket)
                if await node.openMeshSocket() !== socket { break }
            }
            group.cancelAll()
        }
    }
}
