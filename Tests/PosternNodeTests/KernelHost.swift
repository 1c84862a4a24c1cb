import Datapath
import Foundation
import Glibc
import Mesh
import PosternNode
import Testing
import WireGuard

/// A machine of a test's own: a network namespace, a BPF file system, and WireGuard devices with names of its own.
final class KernelHost {
    let namespace: NetworkNamespace
    let folder: String
    let pins: String
    let device: DeviceName
    let sessionDevice: DeviceName
    let session = SessionID(unchecked: String(repeating: "c", count: 32))
    let place: SessionPlace
    let backend: any WireGuardBackend

    init() throws {
        let number = UInt32.random(in: 0..<1 << 20)
        namespace = try NetworkNamespace.create()
        folder = "/tmp/postern-node-\(getpid())-\(number)"
        pins = folder + "/bpf/node"
        device = try #require(DeviceName("ptn\(number)"))
        sessionDevice = try #require(DeviceName("pts\(number)"))
        let cgroup = try Self.cgroups() + "/postern-test-\(number)"
        place = SessionPlace(namespace: try NetworkNamespace.create(), cgroup: cgroup)
        backend = UserspaceBackend(directory: folder + "/wireguard")
        try must(
            "mkdir -m 700 \(folder) \(folder)/wireguard \(folder)/bpf",
            "mount -t bpf -o mode=700 bpf \(folder)/bpf", "mkdir \(cgroup)")
        try inside { try Links().bringUp(.loopback) }
    }

    deinit {
        for name in [device, sessionDevice] { try? backend.delete(name) }
        try? must("umount -l \(folder)/bpf", "rm -r \(folder)", "rmdir \(place.cgroup)")
    }

    /// Where this machine has cgroups of version 2.
    private static func cgroups() throws -> String {
        let mounts = try String(contentsOfFile: "/proc/self/mounts", encoding: .utf8)
        let fields = mounts.split(separator: "\n").map { $0.split(separator: " ") }
        return String(try #require(fields.first { $0.count > 2 && $0[2] == "cgroup2" })[1])
    }

    /// Runs the body on a thread in the host's namespace.
    func inside<Result>(_ body: () throws -> Result) throws -> Result {
        try namespace.enter { Swift.Result { try body() } }.get()
    }

    /// Runs commands of the shell in the host's namespace.
    func shell(_ commands: String...) throws {
        try must(
            "nsenter --net=/proc/\(getpid())/fd/\(namespace.descriptor) sh -ec '\(commands.joined(separator: "; "))'")
    }
}

/// A reconciler that lives in a host's namespace, as a daemon would.
final class HostDaemon {
    private let host: KernelHost
    private var reconciler: Reconciler
    private var places: [SessionID: SessionPlace] { [host.session: host.place] }

    init(_ host: KernelHost, backend: (any WireGuardBackend)? = nil) throws {
        self.host = host
        let backend = backend ?? host.backend
        let made = try host.namespace.enter { Result<Held, any Error> { try Held(host, backend) } }.get()
        reconciler = made.take()
    }

    /// A value that cannot be copied goes from one thread to another inside one that can.
    private final class Held {
        private var reconciler: Reconciler?
        init(_ host: KernelHost, _ backend: any WireGuardBackend) throws {
            reconciler = try Reconciler(backend: backend, pins: PinPaths(root: host.pins))
        }
        func take() -> Reconciler {
            guard let taken = reconciler.take() else { preconditionFailure("it is taken once") }
            return taken
        }
    }

    func apply(_ plan: Plan, scope: Reconciler.Scope = .devices) throws -> [Problem] {
        try host.inside { reconciler.apply(plan, places: places, scope: scope) }
    }

    func cutOff(_ plan: Plan) throws { try host.inside { reconciler.cutOff(plan, places: places) } }

    func removeLeftovers(except kept: Set<DeviceName>) throws {
        try host.inside { try reconciler.removeLeftovers(except: kept) }
    }

    func isGuarded(_ name: DeviceName) throws -> Bool {
        try host.inside { reconciler.isGuarded(name, at: places) }
    }

    var tables: TableSet { reconciler.tableSet }
    var drift: [String] { reconciler.drift.texts(at: .now()) }
    func state(of name: DeviceName) -> DeviceState? { reconciler.state(of: name) }
}

/// Runs commands of the shell, one after another, that must succeed.
func must(_ commands: String...) throws {
    let process = Process()
    process.executableURL = URL(filePath: "/bin/sh")
    process.arguments = ["-ec", commands.joined(separator: "\n")]
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw TestError("`\(commands)` failed") }
}
