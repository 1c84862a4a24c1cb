/// The architecture as a table: what each target may import, and why.
///
/// Arrows go down the list only, and siblings never import each other. A new target, or a new library, is a new line.
struct House {
    struct Room {
        let target: String
        /// The targets of this package that it may import.
        let ours: Set<String>
        /// Libraries of others that it may import.
        let libraries: Set<String>
        let reason: String
    }

    let rooms: [Room]

    subscript(target: String) -> Room? { rooms.first { $0.target == target } }

    /// What the platform gives to every target.
    static let platform: Set<String> = ["Swift", "Foundation", "FoundationEssentials", "Synchronization"]
    /// What only Linux gives.
    static let linux: Set<String> = ["Glibc", "Musl", "Dispatch"]
    private static let http: Set<String> = ["NIOCore", "NIOHTTP1", "NIOSSL"]

    static let postern = House(rooms: [
        Room("CPosternABI", "the header of the eBPF programs knows nothing else"),
        Room("CLinux", "system calls carry no opinion"),
        Room("CMnl", "a system library"),
        Room("CBpf", "a system library"),

        Room("Mesh", "every other target stands on the nouns, so they stand on nothing"),
        Room("Cedar", "the policy language is a library of its own and knows nothing of meshes"),
        Room(
            "CoordinationAPI", ours: ["Mesh"], libraries: ["Crypto"],
            "messages are values: whoever speaks them brings the sockets"),
        Room(
            "Audit", ours: ["Mesh", "CoordinationAPI"], libraries: ["Crypto", "Glibc"],
            "a log is verified by whoever has it, so nothing that writes one is needed to read it"),
        Room(
            "Identity", ours: ["Mesh"], libraries: ["Crypto", "X509", "SwiftASN1"],
            "certificates and tokens are values, and nodes and coordinator check them alike"),
        Room(
            "Authorization", ours: ["Mesh", "Cedar"],
            "a decision is a function of policy and entities, so node, coordinator and tests get the same"),

        Room(
            "Telemetry", ours: ["Mesh"], libraries: ["NIOCore", "NIOPosix", "NIOHTTP1", "Glibc"],
            "how figures are shown is not how they come about"),

        Room(
            "WireGuard", ours: ["Mesh", "CLinux", "CMnl"], libraries: linux.union(["Crypto"]),
            "a device is one kernel interface and knows no policy"),
        Room(
            "Datapath", ours: ["Mesh", "CLinux", "CPosternABI", "CBpf"], libraries: linux,
            "tables hold what was decided; they decide nothing"),
        Room(
            "Sandbox", ours: ["Mesh", "CLinux"], libraries: linux,
            "what runs as root beside an agent must stay small"),

        Room(
            "PosternNode",
            ours: [
                "Mesh", "CoordinationAPI", "Audit", "Identity", "Authorization", "Telemetry", "WireGuard", "Datapath",
                "Sandbox", "CLinux",
            ],
            libraries: linux.union(http).union(["Crypto", "ServiceLifecycle", "Logging", "AsyncHTTPClient", "NIOPosix"]
            ),
            "the node decides through Authorization, so Cedar is not its business"),
        Room(
            "PosternCoordinator",
            ours: ["Mesh", "CoordinationAPI", "Audit", "Identity", "Authorization", "Telemetry"],
            libraries: linux.union(http).union([
                "Crypto", "ServiceLifecycle", "Logging", "Hummingbird", "HummingbirdTLS", "HTTPTypes", "GRDB",
            ]),
            "the coordinator touches no device, so that it runs anywhere"),
        Room(
            "PosternCLI", ours: ["Mesh", "CoordinationAPI", "Audit", "Identity", "Cedar", "Authorization", "CLinux"],
            libraries: linux.union(http).union(["Crypto", "ArgumentParser", "AsyncHTTPClient", "NIOPosix"]),
            "the commands speak to the programs and never do their work"),

        Room("postern", ours: ["PosternCLI"], "a program is arguments and wiring"),
        Room(
            "posternd", ours: ["PosternNode", "CoordinationAPI", "WireGuard", "Mesh"], libraries: program,
            "a program is arguments and wiring"),
        Room("postern-session", ours: ["Sandbox"], libraries: linux, "PID 1 of a session does one thing"),
        Room(
            "postern-coordinator", ours: ["PosternCoordinator", "Mesh"], libraries: program,
            "a program is arguments and wiring"),
        Room("cedar-conformance", ours: ["Cedar"], "the cases of the language are run through the language alone"),
        Room(
            "bench-audit", ours: ["Audit", "Mesh"], libraries: linux.union(["Crypto"]),
            "a record is measured on its way, without the sockets"),
        Room(
            "bench-datapath", ours: ["Datapath", "Mesh", "CLinux"], libraries: linux,
            "what is measured is what is carried"),
        Room(
            "bench-map", ours: ["PosternCoordinator", "CoordinationAPI", "Mesh"], libraries: linux,
            "a bench measures what the service runs, without its sockets"),
        Room("bench-policy", ours: ["Cedar"], libraries: linux, "a decision is measured where it is made"),
        Room(
            "bench-wireguard", ours: ["WireGuard", "Mesh"], libraries: linux,
            "a device is asked of as the daemon asks"),
        Room("embed-bpf", "a build tool runs before anything of ours is built"),
    ])

    private static let program: Set<String> = linux.union([
        "ArgumentParser", "ServiceLifecycle", "UnixSignals", "Logging",
    ])
}

extension House.Room {
    init(_ target: String, ours: Set<String> = [], libraries: Set<String> = [], _ reason: String) {
        self.init(target: target, ours: ours, libraries: libraries, reason: reason)
    }
}
