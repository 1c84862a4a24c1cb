import CLinux
import CoordinationAPI
import Datapath
import Glibc
import Mesh
import NIOSSL
import Sandbox
import WireGuard

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// What `postern doctor` looked at.
struct DoctorFacts: Sendable {
    struct Device: Sendable {
        let name: String
        let isGuarded: Bool
    }

    /// An address of the coordinator, and why nothing took a connection there.
    struct Place: Sendable {
        let address: String
        let error: String?
    }

    struct Map: Sendable {
        let version: UInt64
        let validUntil: Timestamp
    }

    struct Service: Sendable {
        let name: ServiceName
        let transport: TransportProtocol
        let port: Port
        let listens: Listeners.Reach
    }

    var kernel = ""
    var attachment = Classifier.attachment
    var bpffs = ""
    var isOnBPFFileSystem = true
    var backend = ""
    var isDown = false
    var devices: [Device] = []
    var wallError: String?
    var pool = ""
    var overlappingRoute: String?
    /// Sentences of what the kernel lacks for a session.
    var enclosureShortcomings: [String] = []
    var coordinator: [Place] = []
    var coordinatorError: String?
    /// This machine's clock less the coordinator's.
    var clockOffset: Duration?
    var certificateEnd: Timestamp?
    var map: Map?
    var underlay = Underlay(addresses: [])
    var deviceMTU: Int?
    var address = ""
    var services: [Service] = []
    /// Why names of the mesh are not answered for.
    var namesProblem: String?
    var problems: [String] = []
    /// By this machine's clock, and by the coordinator's.
    var now = Timestamp(rawValue: 0)
    var meshTime = Timestamp(rawValue: 0)
}

extension Node {
    /// Looks at everything; asks the coordinator's addresses last, for they may take seconds.
    func doctor() async -> DoctorReport {
        var facts = localFacts()
        let coordinator = await Reachability.of(url: membership.url)
        (facts.coordinator, facts.coordinatorError) = (coordinator.places, coordinator.error ?? coordinatorError)
        return Doctor.examine(facts)
    }

    private func localFacts() -> DoctorFacts {
        var facts = DoctorFacts()
        let pool = membership.pool
        facts.kernel = kernelRelease()
        (facts.bpffs, facts.isOnBPFFileSystem) = (configuration.bpffs, unsafe pt_bpf_is_bpffs(configuration.bpffs) == 1)
        facts.backend = backendName
        facts.isDown = isDown
        facts.devices = plan.devices.keys.sorted { $0.rawValue < $1.rawValue }.map {
            DoctorFacts.Device(name: $0.rawValue, isGuarded: isGuarded($0))
        }
        facts.wallError = wallError()
        facts.pool = pool.v4Text
        facts.overlappingRoute = (try? pool.overlappingRoute(except: local.device))?.description
        facts.enclosureShortcomings = Enclosure.shortcomings()
        facts.now = Timestamp(rawValue: Int64(Date().timeIntervalSince1970 * 1000))
        if let map {
            facts.meshTime = clock.utc(at: .now())
            facts.clockOffset = facts.now - facts.meshTime
            facts.map = DoctorFacts.Map(version: map.version, validUntil: map.validUntil)
        }
        facts.certificateEnd = certificateEnd(membership.certificate)
        if let underlay = try? Underlay.current(pool: pool, ownDevices: [local.device.rawValue]) {
            facts.underlay = underlay
        }
        facts.deviceMTU = (try? Links().all())?.first { $0.name == local.device.rawValue }?.mtu
        facts.namesProblem = namesProblem ?? resolverProblem
        facts.problems = problems.map(\.text) + leftOut
        addServices(to: &facts)
        return facts
    }

    private func addServices(to facts: inout DoctorFacts) {
        guard let map, let own = map.nodes[local.name] else { return }
        let mesh: Set<IPAddress> = [.v4(map.pool.ipv4(at: own.offset)), .v6(map.pool.ipv6(at: own.offset))]
        facts.address = map.pool.ipv4(at: own.offset).description
        let listeners = Listeners.current()
        // The kernel answers echo requests: nothing listens.
        facts.services = map.services.values.filter { $0.node == local.name }.compactMap { service in
            let transport = service.protocol.transport
            return service.port.map { port in
                DoctorFacts.Service(
                    name: service.name, transport: transport, port: port,
                    listens: listeners.reach(of: port, transport, mesh: mesh))
            }
        }
    }
}

func kernelRelease() -> String {
    var name = utsname()
    guard unsafe uname(&name) == 0 else { return "" }
    return unsafe withUnsafeBytes(of: name.release) { bytes in
        unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
}

private func certificateEnd(_ pem: String) -> Timestamp? {
    guard let certificate = try? NIOSSLCertificate(bytes: Array(pem.utf8), format: .pem) else { return nil }
    return Timestamp(rawValue: Int64(certificate.notValidAfter) * 1000)
}
