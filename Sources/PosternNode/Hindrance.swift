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
    /// The node, once the machine let it begin.
    package let node = Made()
    private let configuration: NodeConfiguration
    private let backend: any WireGuardBackend
    private let server: LocalServer
    private let log: Logger
    private let make: @Sendable () throws -> Node

    /// What an attempt made.
    package final class Made: Sendable {
        private let value = Mutex<Node?>(nil)
        fileprivate init() {}
        package var node: Node? { value.withLock { $0 } }
        fileprivate func set(_ node: Node) { value.withLock { $0 = node } }
    }

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
        let reason = Mutex("")
        try await cancelWhenGracefulShutdown {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await server.run { await serve($0, because: reason.withLock { $0 }) }
                }
                group.addTask {
                    while !Task.isCancelled {
                        do { return node.set(try make()) } catch {
                            hinder("\(error)", reason)
                            try await Task.sleep(for: Self.pause)
                        }
                    }
                }
                defer { group.cancelAll() }
                do { try await group.next() } catch is CancellationError {}
            }
        }
    }

    private func hinder(_ text: String, _ reason: borrowing Mutex<String>) {
        let isNews = reason.withLock { last in
            defer { last = text }
            return last != text
        }
        if isNews { log.error("posternd cannot begin, and tries again: \(text)") }
        for text in closeUnguarded(backend, configuration) { log.error("\(text)") }
    }

    private func serve(_ connection: LocalConnection, because reason: String) async {
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
            let namespace = places[device].flatMap { try? NetworkNamespace(path: $0) }
            do {
                if let namespace { try backend.adopt(device, in: namespace) }
                guard try backend.exists(device), !isGuarded(device, in: namespace, pins) else { continue }
                try backend.delete(device)
                said.append("device `\(device)` is taken away: its classifier cannot be found")
            } catch { said.append("\(error)") }
        }
    } catch { said.append("\(error)") }
    return said
}

/// Where the sessions of an earlier run are, by their devices.
private func sessionPlaces(_ configuration: NodeConfiguration) throws -> [DeviceName: String] {
    let records = try SessionRecords(below: StateDirectory(path: configuration.stateDirectory)).all()
    return records.values.reduce(into: [:]) { places, record in
        guard let record, let device = DeviceName(record.device), let process = record.process else { return }
        places[device] = "/proc/\(process.id)/ns/net"
    }
}

private func isGuarded(_ device: DeviceName, in namespace: NetworkNamespace?, _ pins: PinPaths) -> Bool {
    do {
        let links = if let namespace { try Links(in: namespace) } else { try Links() }
        guard let index = try links.index(of: device) else { return false }
        try Classifier.verify(
            interface: UInt32(bitPattern: index), netns: namespace?.descriptor, pins: pins.classifier(of: device))
        return true
    } catch { return false }
}
