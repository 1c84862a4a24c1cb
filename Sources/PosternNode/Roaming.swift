import CoordinationAPI
import Datapath
import Identity
import Logging
import Mesh
import WireGuard

// The networks around this machine change: it moves to another one, an interface comes or goes, a lease ends.
//
//     rtnetlink ─> look around ─┬─> endpoints of others: which may work from here
//                               ├─> MTU of the mesh devices
//                               └─> our own endpoints: a statement, signed again, to the coordinator

extension Node {
    /// Takes up what the networks around this machine are. What cannot be seen stays as it was.
    func lookAround() {
        let own = Set([local.device] + sessions.values.map(\.local.device)).map(\.rawValue)
        let seen: Underlay
        do { seen = try Underlay.current(pool: membership.pool, ownDevices: Set(own)) } catch {
            return log.warning("the networks around this machine cannot be seen: \(error)")
        }
        guard seen != underlay else { return }
        underlay = seen
        planner.endpoints.move(to: seen, at: .now())
        do { try reconciler.setMTU(seen.tunnelMTU) } catch { log.warning("\(error)") }
        noteMove()
    }

    /// Whether others must be told where this node is reached.
    private func noteMove() {
        let endpoints = underlay.endpoints(port: membership.port)
        // Without any address there is nobody to tell, and nothing to say.
        guard !membership.hasFixedEndpoints, !endpoints.isEmpty, endpoints != membership.endpoints else { return }
        membership.endpoints = endpoints
        hasMoved = true
        do { try state.write(.membership, Array(try JSON.pretty(membership).utf8)) } catch {
            log.error("where this node is reached is not kept: \(error)")
        }
        log.notice("this node is reached at \(endpoints.map(\.description).joined(separator: ", "))")
    }

    /// Tells the coordinator, which tells the others. What fails is tried again.
    func tellMove() async {
        guard hasMoved, let key = map?.nodes[local.name]?.key, key == local.key.publicKey else { return }
        let told = membership.endpoints
        do {
            let statement = NodeStatement(name: local.name, key: key, endpoints: told)
            let document = Document(mesh: membership.mesh, madeAt: clock.utc(at: .now()), statement: .node(statement))
            let request = NodeRequest(statement: try Envelope(signing: document, with: signer.privateKey))
            _ = try await client.change(request)
            hasMoved = membership.endpoints != told
        } catch { log.warning("the coordinator was not told where this node is reached: \(error)") }
    }

    /// Takes up what WireGuard says of the peers that this machine looks for.
    func hearOfPeers() {
        let kept = plan.devices.keys.reduce(into: Set()) { $0.formUnion(hearOfPeers(on: $1)) }
        planner.endpoints.keep(kept, known: Set(map?.nodes.values.map(\.key) ?? []))
    }
}

extension Node {
    /// The same of one device; gives the peers that it looks for.
    @discardableResult
    func hearOfPeers(on name: DeviceName) -> Set<EndpointChoice.Peer> {
        let sought = plan.devices[name]?.configuration.peers.filter { $0.value.endpoint != nil } ?? [:]
        guard !sought.isEmpty, let state = state(of: name) else { return [] }
        let now = BootTime.now()
        for key in sought.keys {
            guard let found = state.peers[key] else { continue }
            let report = EndpointChoice.Report(
                endpoint: found.endpoint, sentBytes: found.sentBytes, receivedBytes: found.receivedBytes)
            planner.endpoints.hear(of: EndpointChoice.Peer(device: name, key: key), report, at: now)
        }
        return Set(sought.keys.map { EndpointChoice.Peer(device: name, key: $0) })
    }
}

extension NodeService {
    /// Changes come in swarms, and addresses are not at once usable.
    private static let settling = Duration.seconds(1)
    /// A look without any news, in case some was missed; and another try to tell.
    private static let interval = Duration.seconds(30)

    func watchUnderlay() async throws {
        let stop = try StopSignal()
        let watch = try SharedWatch()
        let (news, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        await withDiscardingTaskGroup { group in
            group.addTask {
                await onThread("postern-underlay", stop: stop) {
                    while true {
                        let ready = readable(
                            [stop.descriptor, watch.links.descriptor],
                            timeout: Int32(clamping: Self.interval.milliseconds))
                        if ready.contains(0) { break }
                        watch.links.drain()
                        continuation.yield()
                    }
                    continuation.finish()
                }
            }
            for await _ in news {
                try? await Task.sleep(for: Self.settling)
                await node.lookAround()
                await node.tellMove()
            }
            group.cancelAll()
        }
    }

    /// A thread and its owner share what cannot be copied.
    private final class SharedWatch: Sendable {
        let links: LinkWatch
        init() throws(LinkError) { links = try LinkWatch() }
    }
}
