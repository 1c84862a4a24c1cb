import CoordinationAPI
import Datapath
import Mesh
import Testing
import WireGuard

@testable import PosternNode

@Suite struct DoctorTests {
    /// A machine to which nothing is wrong.
    private static func healthy() throws -> DoctorFacts {
        let moment = DemoMesh.moment
        var facts = DoctorFacts()
        facts.attachment = .tcx
        (facts.kernel, facts.bpffs, facts.backend) = ("6.12.117+deb12-amd64", "/sys/fs/bpf/postern", "the kernel")
        facts.devices = [.init(name: "postern0", isGuarded: true)]
        facts.pool = "10.0.0.0/14"
        facts.coordinator = [.init(address: "192.0.2.1:8443", error: nil)]
        facts.clockOffset = .milliseconds(-200)
        (facts.now, facts.meshTime) = (moment, moment)
        facts.certificateEnd = moment + .seconds(20 * 86_400)
        facts.map = .init(version: 7, validUntil: moment + .seconds(86_000))
        let address = IPAddress.v4(IPv4Address(rawValue: 0xc000_0205))
        facts.underlay = Underlay(
            addresses: [
                .init(address: address, network: .host(IPv4Address(rawValue: 0xc000_0205)), device: "eth0", mtu: 1500)
            ])
        facts.deviceMTU = 1420
        facts.address = "10.0.0.2"
        facts.services = [
            .init(name: ServiceName(unchecked: "ledger"), transport: .tcp, port: try port(80), listens: .mesh)
        ]
        return facts
    }

    @Test func `a machine to which nothing is wrong is well`() throws {
        let report = Doctor.examine(try Self.healthy())
        #expect(report.findings.filter { $0.level != .ok } == [])
        #expect(report.findings.allSatisfy { $0.advice == nil })
    }

    @Test func `each thing that is wrong is found, and only it`() throws {
        let cases: [(check: String, level: DoctorReport.Level, change: (inout DoctorFacts) -> Void)] = [
            ("kernel", .warning, { $0.attachment = .clsact }), ("kernel", .problem, { $0.kernel = "5.15.0" }),
            ("kernel", .problem, { $0.kernel = "" }), ("bpffs", .problem, { $0.isOnBPFFileSystem = false }),
            ("devices", .problem, { $0.devices = [] }),
            ("classifier", .problem, { $0.devices = [.init(name: "postern0", isGuarded: false)] }),
            ("wall", .problem, { $0.wallError = "cannot rely on the wall: `wall4` is gone" }),
            ("enclosure", .warning, { $0.enclosureShortcomings = ["this kernel has no Landlock"] }),
            ("routes", .problem, { $0.overlappingRoute = "10.0.0.0/8" }),
            ("coordinator", .problem, { $0.coordinator = [.init(address: "192.0.2.1:8443", error: "refused")] }),
            ("coordinator", .warning, { $0.coordinator.append(.init(address: "[::1]:8443", error: "refused")) }),
            ("coordinator", .problem, { $0.coordinatorError = "no address is known" }),
            ("clock", .warning, { $0.clockOffset = .seconds(6) }),
            ("clock", .problem, { $0.clockOffset = .seconds(-61) }),
            ("clock", .warning, { $0.clockOffset = nil }), ("certificate", .problem, { $0.certificateEnd = nil }),
            ("certificate", .problem, { $0.certificateEnd = $0.now }),
            ("certificate", .warning, { $0.certificateEnd = $0.now + .seconds(86_400) }),
            ("map", .problem, { $0.map = nil }),
            ("map", .problem, { $0.map = .init(version: 7, validUntil: $0.meshTime) }),
            ("map", .warning, { $0.map = .init(version: 7, validUntil: $0.meshTime + .seconds(3600)) }),
            ("underlay", .problem, { $0.underlay = Underlay(addresses: []) }),
            ("mtu", .warning, { $0.deviceMTU = 1441 }),
            (
                "service", .problem,
                { $0.set(listens: .loopback) }
            ),
            (
                "service", .warning,
                { $0.set(listens: .nowhere) }
            ),
            (
                "service", .warning,
                { $0.set(listens: .beside("192.0.2.5")) }
            ), ("reconciler", .problem, { $0.problems = ["disk full"] }),
            ("names", .warning, { $0.namesProblem = "port 53 is taken" }), ("mesh", .warning, { $0.isDown = true }),
        ]
        for (check, level, change) in cases {
            var facts = try Self.healthy()
            change(&facts)
            let wrong = Doctor.examine(facts).findings.filter { $0.level != .ok }
            #expect(wrong.map(\.check) == [check], "\(wrong)")
            #expect(wrong.map(\.level) == [level], "\(wrong)")
            #expect(wrong.allSatisfy { $0.advice?.isEmpty == false }, "\(wrong)")
        }
    }

    @Test(arguments: [
        ("6.12.117+deb12-amd64", 6, 12), ("6.6", 6, 6), ("6.18.0", 6, 18), ("7.0-rc1", 7, 0), ("x", 0, 0), ("", 0, 0),
        ("6.x", 6, 0),
    ])
    func `a kernel's release says its version`(release: String, major: Int, minor: Int) {
        #expect(KernelVersion(release) == KernelVersion(major: major, minor: minor))
    }
}

extension DoctorFacts {
    fileprivate mutating func set(listens: Listeners.Reach) {
        services = services.map { .init(name: $0.name, transport: $0.transport, port: $0.port, listens: listens) }
    }
}
