import CLinux
import CoordinationAPI
import Datapath
package import Logging
import ServiceLifecycle
import Synchronization
package import WireGuard

/// A daemon on a machine that does not let it work: it says why, tries again, and closes what nobody can be seen to judge.
///
///     try ──> it works: the node begins
///      ^  └─> it does not: unguarded devices go, whoever asks is told the reason, 5 s pass ─┐
///      └────────────────────────────────────────────────────────────────────────────────────┘
///
/// What is guarded stays: it was allowed, and its lease ends it.
package struct Hindrance: Service {
    private let outcome = Outcome()
    private let configuration: NodeConfiguration
    private let backend: any WireGuardBackend
    private let server: LocalServer
    private let log: Logger
    private let make: @Sendable () throws -> Node

    /// What the last attempt came to.
    private final class Outcome: Sendable {
        let node = Mutex<Node?>(nil)
        let reason = Mutex("")
    }

    /// The node, once the machine let it begin.
    package var node: Node? { outcome.node.withLock { $0 } }

    private static let pause = Duration.seconds(5)

    package init(
        _ configuration: NodeConfiguration, backend: any WireGuardBackend, server: LocalServer, log: Logger,
        make: @escaping @Sendable () throws -> Node
    ) {
        (self.configuration, self.backend) = (configuration, backend)
        (self.server, self.log, self.make) = (server, log, make)
    }

    /// Returns when the node is made, or when told to stop.
    package func run() async throws {
        try await cancelWhenGracefulShutdown {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await server.run { await serve($0) }
                }
                group.addTask {
                    while !Task.isCancelled {
                        do {
                            let made = try make()
                            return outcome.node.withLock { $0 = made }
                        } catch {
                            hinder("\(error)")
                            try await Task.sleep(for: Self.pause)
                        }
                    }
                }
                defer { group.cancelAll() }
                do { try await group.next() } catch is CancellationError {}
            }
        }
    }

    private func hinder(_ text: String) {
        let isNews = outcome.reason.withLock { last in
            defer { last = text }
            return last != text
        }
        if isNews { log.error("posternd cannot begin, and tries again: \(text)") }
        for text in closeUnguarded(backend, configuration) { log.error("\(text)") }
    }

    private func serve(_ connection: LocalConnection) async {
        let reason = outcome.reason.withLock { $0 }
        var requests = connection.requests.makeAsyncIterator()
        guard let received = await requests.next() else { return }
        guard case .doctor = received.request else {
            return connection.send(.failed("posternd cannot begin, and tries again every 5 s: \(reason)"))
        }
        var facts = DoctorFacts()
        facts.kernel = kernelRelease()
        (facts.bpffs, facts.isOnBPFFileSystem) = (configuration.bpffs, unsafe pt_bpf_is_bpffs(configuration.bpffs) == 1)
        connection.send(.doctor(Doctor.report(hindered: reason, facts)))
    }
}

/// Takes away the devices of an earlier run before which no classifier can be found, in whichever namespace they are:
/// nobody would judge their packets. Gives what was done, and what could not be.
private func closeUnguarded(_ backend: any WireGuardBackend, _ configuration: NodeConfiguration) -> [String] {
    let pins = PinPaths(root: configuration.bpffs)
    var said: [String] = []
    do {
        let places = try sessionPlaces(configuration)
        for device in try backend.devices() {
            do {
                let place = places[device]
                if let place { try backend.adopt(device, in: place.namespace) }
                guard try backend.exists(device), !isGuarded(device, at: place, pins) else { continue }
                try backend.delete(device)
                said.append("device `\(device)` is taken away: its classifier cannot be found")
            } catch { said.append("\(error)") }
        }
    } catch { said.append("\(error)") }
    return said
}

/// Where the sessions of an earlier run are that have not ended, by their devices.
private func sessionPlaces(_ configuration: NodeConfiguration) throws -> [DeviceName: SessionPlace] {
    let records = try SessionRecords(below: StateDirectory(path: configuration.stateDirectory)).all()
    return records.values.reduce(into: [:]) { places, record in
        guard let record, let device = DeviceName(record.device), let process = record.process,
            let namespace = try? NetworkNamespace(path: "/proc/\(process.id)/ns/net")
        else { return }
        places[device] = SessionPlace(namespace: namespace, cgroup: record.cgroup)
    }
}

private func isGuarded(_ device: DeviceName, at place: SessionPlace?, _ pins: PinPaths) -> Bool {
    do {
        let links = if let place { try Links(in: place.namespace) } else { try Links() }
        guard let index = try links.index(of: device) else { return false }
        try Classifier.verify(
            interface: UInt32(bitPattern: index), netns: place?.namespace.descriptor, pins: pins.classifier(of: device))
        return true
    } catch { return false }
}
