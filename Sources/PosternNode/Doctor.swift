import CoordinationAPI
import Datapath
import Mesh

/// Says what of the machine and of the mesh is as it should be, and what to do about the rest.
///
/// A function of what was looked at; `DoctorFacts` says how it is looked at.
enum Doctor {
    /// In the order in which one would look: the kernel, the mesh on this machine, the way to others, the services.
    static func examine(_ facts: DoctorFacts) -> DoctorReport {
        DoctorReport(
            findings: [kernel(facts), bpffs(facts), wireGuard(facts)] + classifiers(facts) + [wall(facts)]
                + overlap(facts) + enclosure(facts) + coordinator(facts)
                + [clock(facts), certificate(facts), map(facts)] + underlay(facts) + [names(facts)] + services(facts)
                + facts.problems.map { .init("reconciler", .problem, $0, advice: "the log of posternd says more") })
    }

    /// What is wrong with a machine on which the daemon cannot even begin.
    static func report(hindered reason: String, _ facts: DoctorFacts) -> DoctorReport {
        DoctorReport(findings: [
            kernel(facts), bpffs(facts),
            .init(
                "posternd", .problem, "posternd cannot begin: \(reason)",
                advice: "it tries again every 5 s; what was allowed before goes on to the end of its lease where it is "
                    + "still judged, and nothing else does"),
        ])
    }

    // MARK: - The kernel

    private static func kernel(_ facts: DoctorFacts) -> DoctorReport.Finding {
        guard KernelVersion(facts.kernel) >= KernelVersion(major: 6, minor: 1) else {
            return .init(
                "kernel", .problem, "Linux \(facts.kernel) is older than 6.1", advice: "run a kernel of 6.6 or later")
        }
        switch facts.attachment {
        case .tcx: return .init("kernel", .ok, "Linux \(facts.kernel) has TCX: the classifier comes before all others")
        case .clsact:
            return .init(
                "kernel", .warning, "Linux \(facts.kernel) lacks TCX: another program's filter may come before ours",
                advice: "run 6.6 or later; until then, the lines about the classifier say whether one does")
        }
    }

    private static func bpffs(_ facts: DoctorFacts) -> DoctorReport.Finding {
        facts.isOnBPFFileSystem
            ? .init("bpffs", .ok, "`\(facts.bpffs)` is on a BPF file system: what is pinned there outlives posternd")
            : .init(
                "bpffs", .problem, "`\(facts.bpffs)` is not on a BPF file system",
                advice: "mount -t bpf bpf /sys/fs/bpf")
    }

    private static func wireGuard(_ facts: DoctorFacts) -> DoctorReport.Finding {
        .init("wireguard", .ok, "devices by \(facts.backend)")
    }

    // MARK: - The mesh on this machine

    private static func classifiers(_ facts: DoctorFacts) -> [DoctorReport.Finding] {
        guard !facts.isDown else {
            return [.init("mesh", .warning, "the mesh is down here", advice: "postern up")]
        }
        guard !facts.devices.isEmpty else {
            return [
                .init(
                    "devices", .problem, "there is no mesh device",
                    advice: "the lines below and `postern status` say what it waits for")
            ]
        }
        return facts.devices.map { device in
            device.isGuarded
                ? .init("classifier", .ok, "the classifier stands first on `\(device.name)`, in both directions")
                : .init(
                    "classifier", .problem, "the classifier does not stand first on `\(device.name)`",
                    advice:
                        "posternd puts it right within 5 s, or takes the device down; if this stays, look who is there: "
                        + (facts.attachment == .tcx ? "bpftool net" : "tc filter show dev \(device.name) ingress"))
        }
    }

    private static func wall(_ facts: DoctorFacts) -> DoctorReport.Finding {
        guard let error = facts.wallError else {
            return .init("wall", .ok, "the wall keeps the mesh's addresses inside the tunnel")
        }
        guard !facts.isDown else { return .init("wall", .ok, "no mesh address is here that a wall would keep in") }
        return .init(
            "wall", .problem, error, advice: "posternd puts it up again within 5 s; if this stays, see its log")
    }

    private static func overlap(_ facts: DoctorFacts) -> [DoctorReport.Finding] {
        guard let route = facts.overlappingRoute else {
            return [.init("routes", .ok, "no route of this machine overlaps with the mesh's \(facts.pool)")]
        }
        return [
            .init(
                "routes", .problem, "the route to \(route) overlaps with the mesh's \(facts.pool)",
                advice: "remove it, or make the mesh anew with another pool")
        ]
    }

    /// Each is one wall behind another that this kernel cannot give.
    private static func enclosure(_ facts: DoctorFacts) -> [DoctorReport.Finding] {
        guard !facts.enclosureShortcomings.isEmpty else {
            return [.init("enclosure", .ok, "this kernel has every wall that holds a session")]
        }
        return facts.enclosureShortcomings.map {
            .init("enclosure", .warning, $0, advice: "sessions run all the same; another kernel has it")
        }
    }

    // MARK: - The coordinator

    private static func coordinator(_ facts: DoctorFacts) -> [DoctorReport.Finding] {
        var findings = facts.coordinator.map { place -> DoctorReport.Finding in
            guard let error = place.error else {
                return .init("coordinator", .ok, "the coordinator's \(place.address) answers")
            }
            return .init(
                "coordinator", facts.coordinator.contains { $0.error == nil } ? .warning : .problem,
                "the coordinator's \(place.address) does not answer: \(error)",
                advice: "is it running, and does every firewall let its port through?")
        }
        if let error = facts.coordinatorError {
            findings.append(
                .init(
                    "coordinator", .problem, error,
                    advice: "what runs goes on until leases end; nothing new begins until this is mended"))
        }
        return findings
    }

    private static func clock(_ facts: DoctorFacts) -> DoctorReport.Finding {
        guard let offset = facts.clockOffset else {
            return .init(
                "clock", .warning, "the coordinator has not said what time it is",
                advice: "the lines about the coordinator say why")
        }
        let seconds = Double(offset.milliseconds) / 1000
        let text = "the clock is \(decimal(abs(seconds))) s \(seconds < 0 ? "behind" : "ahead of") the coordinator's"
        switch abs(offset.milliseconds) {
        case ...5000: return .init("clock", .ok, text)
        case ...60_000: return .init("clock", .warning, text, advice: "run an NTP client")
        default:
            return .init(
                "clock", .problem, text,
                advice: "run an NTP client: past 60 s no rule with a time of day permits anything")
        }
    }

    private static func certificate(_ facts: DoctorFacts) -> DoctorReport.Finding {
        guard let end = facts.certificateEnd else {
            return .init(
                "certificate", .problem, "this node's certificate cannot be read",
                advice: "join again, under another name")
        }
        let left = end - facts.now
        if left <= .zero {
            return .init(
                "certificate", .problem, "this node's certificate ended at \(end)",
                advice: "join again, under another name")
        }
        let text = "this node's certificate is good until \(end)"
        guard left > .seconds(5 * 86_400) else {
            return .init(
                "certificate", .warning, text, advice: "it renews itself while the coordinator answers: see its log")
        }
        return .init("certificate", .ok, text)
    }

    private static func map(_ facts: DoctorFacts) -> DoctorReport.Finding {
        guard let map = facts.map else {
            return .init(
                "map", .problem, "there is no map of the mesh yet: nothing may pass", advice: "see coordinator")
        }
        guard map.validUntil > facts.meshTime else {
            return .init(
                "map", .problem, "the map of the mesh ran out at \(map.validUntil): nothing may pass",
                advice: "the lines about the coordinator say why")
        }
        let hours = (map.validUntil - facts.meshTime).milliseconds / 3_600_000
        return .init(
            "map", hours < 12 ? .warning : .ok, "map \(map.version) is good for \(hours) h more",
            advice: hours < 12 ? "the coordinator has not been heard for long: see above" : nil)
    }

    // MARK: - The way to others

    private static func underlay(_ facts: DoctorFacts) -> [DoctorReport.Finding] {
        guard !facts.underlay.addresses.isEmpty else {
            return [
                .init(
                    "underlay", .problem, "this machine has no address at which others could reach it",
                    advice: "ip address: global, private or unique local ones count, link-local ones do not")
            ]
        }
        let places = facts.underlay.addresses.map { "\($0.address) (\($0.device), MTU \($0.mtu))" }
        return [.init("underlay", .ok, "reached at \(places.joined(separator: ", "))"), mtu(facts)]
    }

    private static func mtu(_ facts: DoctorFacts) -> DoctorReport.Finding {
        let fits = facts.underlay.tunnelMTU
        guard let mtu = facts.deviceMTU else { return .init("mtu", .ok, "the tunnel's packets may have \(fits) bytes") }
        guard mtu <= fits else {
            return .init(
                "mtu", .warning, "the mesh device takes packets of \(mtu) bytes, and the underlay has room for \(fits)",
                advice: "big packets are sent in fragments: raise the underlay's MTU to \(mtu + 80)")
        }
        return .init("mtu", .ok, "packets of \(mtu) bytes (TCP segments of \(mtu - 40)) fit into the underlay")
    }

    private static func names(_ facts: DoctorFacts) -> DoctorReport.Finding {
        guard let problem = facts.namesProblem else {
            return .init("names", .ok, "names of the mesh are answered for at \(NameServer.address), for this machine")
        }
        return .init(
            "names", .warning, problem,
            advice: "programs of this machine do not find names of the mesh; sessions do, by their /etc/hosts")
    }

    // MARK: - Services of this node

    private static func services(_ facts: DoctorFacts) -> [DoctorReport.Finding] {
        facts.services.sorted { $0.name < $1.name }.map { service in
            let name = "service `\(service.name)` (\(service.transport == .udp ? "UDP" : "TCP") port \(service.port))"
            switch service.listens {
            case .nowhere:
                return .init("service", .warning, "nothing listens for \(name)", advice: "start it")
            case .loopback:
                return .init(
                    "service", .problem, "\(name) listens on loopback alone: the mesh does not reach it",
                    advice: "have it listen on the node's mesh address \(facts.address)")
            case .beside(let address):
                return .init(
                    "service", .warning, "\(name) listens on \(address): the LAN reaches it, past every policy",
                    advice:
                        "have it listen on the node's mesh address \(facts.address) alone, or close the port to others")
            case .mesh: return .init("service", .ok, "\(name) listens on the mesh address alone")
            }
        }
    }

    /// One digit behind the point.
    private static func decimal(_ number: Double) -> String {
        let tenths = Int((number * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }
}

/// The version of a kernel, as far as it decides what the kernel can do.
struct KernelVersion: Comparable {
    let major: Int
    let minor: Int

    init(major: Int, minor: Int) { (self.major, self.minor) = (major, minor) }

    /// `6.12.117+deb12-amd64`; what cannot be read is the oldest.
    init(_ release: String) {
        let numbers = release.split(separator: ".").prefix(2).map { part in
            Int(part.prefix { $0.isASCII && $0.isNumber }) ?? 0
        }
        self.init(major: numbers.first ?? 0, minor: numbers.dropFirst().first ?? 0)
    }

    static func < (left: Self, right: Self) -> Bool { (left.major, left.minor) < (right.major, right.minor) }
}
