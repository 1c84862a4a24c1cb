// swift-tools-version: 6.2
import PackageDescription

// The list of targets below is the architecture: imports point up the list, never down, and
// siblings never import each other. Tests/ArchitectureTests holds every arrow.

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    // The static Foundation of a release claims the C library's structures for itself, so only debug builds look.
    .enableUpcomingFeature("MemberImportVisibility", .when(configuration: .debug)),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableUpcomingFeature("InferIsolatedConformances"),
    .enableUpcomingFeature("ImmutableWeakCaptures"),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
]

let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let x509 = Target.Dependency.product(name: "X509", package: "swift-certificates")
let asn1 = Target.Dependency.product(name: "SwiftASN1", package: "swift-asn1")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let signals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let httpClient = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")
let nio = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioHTTP = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioTLS = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let hummingbirdTLS = Target.Dependency.product(name: "HummingbirdTLS", package: "hummingbird")
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")

let package = Package(
    name: "postern",
    products: [
        .library(name: "Cedar", targets: ["Cedar"]),
        .executable(name: "postern", targets: ["postern"]),
        .executable(name: "posternd", targets: ["posternd"]),
        .executable(name: "postern-session", targets: ["postern-session"]),
        .executable(name: "postern-coordinator", targets: ["postern-coordinator"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // What the kernel gives: C, and no opinion.
        .target(name: "CPosternABI"),  // one header shared by the eBPF programs and Swift
        .target(name: "CLinux"),  // system calls that Swift cannot make safely by itself
        .systemLibrary(name: "CMnl", pkgConfig: "libmnl", providers: [.apt(["libmnl-dev"])]),
        .systemLibrary(name: "CBpf", pkgConfig: "libbpf", providers: [.apt(["libbpf-dev"])]),

        // Values: no socket, no clock, no Linux.
        .target(name: "Mesh", swiftSettings: strict),  // the nouns
        .target(name: "Cedar", swiftSettings: strict),  // the policy language
        .target(name: "CoordinationAPI", dependencies: ["Mesh", crypto], swiftSettings: strict),  // messages
        .target(
            name: "Audit", dependencies: ["Mesh", "CoordinationAPI", crypto], swiftSettings: strict),  // spool, log
        .target(name: "Identity", dependencies: ["Mesh", crypto, x509, asn1], swiftSettings: strict),  // CA, SVIDs
        .target(name: "Authorization", dependencies: ["Mesh", "Cedar"], swiftSettings: strict),  // policy to grants

        // What both daemons do alike.
        .target(
            name: "Telemetry", dependencies: ["Mesh", nio, nioPosix, nioHTTP], swiftSettings: strict),  // metrics

        // Devices: one kernel interface each.
        .target(
            name: "WireGuard",
            dependencies: ["Mesh", "CLinux", "CMnl", crypto],
            swiftSettings: strict),  // devices, links, addresses
        .target(
            name: "Datapath",
            dependencies: ["Mesh", "CLinux", "CPosternABI", "CBpf"],
            exclude: ["BPF"],
            swiftSettings: strict,
            plugins: ["EmbedBPF"]),  // classifier, wall, connect hook, tables
        .target(name: "Sandbox", dependencies: ["Mesh", "CLinux"], swiftSettings: strict),  // the enclosure

        // Services: what runs.
        .target(
            name: "PosternNode",
            dependencies: [
                "Mesh", "CoordinationAPI", "Audit", "Identity", "Authorization", "Telemetry", "WireGuard", "Datapath",
                "Sandbox", "CLinux", crypto, lifecycle, logging, httpClient, nio, nioPosix, nioHTTP, nioTLS,
            ],
            swiftSettings: strict),  // map, planner, reconciler, sessions
        .target(
            name: "PosternCoordinator",
            dependencies: [
                "Mesh", "CoordinationAPI", "Audit", "Identity", "Authorization", "Telemetry",
                crypto, lifecycle, logging, hummingbird, hummingbirdTLS, httpTypes, nio, nioTLS, grdb,
            ],
            swiftSettings: strict),  // enrolment, registry, map
        .target(
            name: "PosternCLI",
            dependencies: [
                "Mesh", "CoordinationAPI", "Audit", "Identity", "Cedar", "Authorization", "CLinux",
                crypto, arguments, httpClient, nio, nioPosix, nioHTTP, nioTLS,
            ],
            swiftSettings: strict),  // the commands

        // Programs: arguments and wiring.
        .executableTarget(name: "postern", dependencies: ["PosternCLI"], swiftSettings: strict),
        .executableTarget(
            name: "posternd",
            dependencies: [
                "PosternNode", "CoordinationAPI", "WireGuard", "Mesh", arguments, lifecycle, signals, logging,
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "postern-session", dependencies: ["Sandbox"], swiftSettings: strict),
        .executableTarget(
            name: "postern-coordinator",
            dependencies: ["PosternCoordinator", "Mesh", arguments, lifecycle, signals, logging],
            swiftSettings: strict),

        // The language beside its reference: what scripts/conformance runs.
        .executableTarget(name: "cedar-conformance", dependencies: ["Cedar"], swiftSettings: strict),

        // Measuring: what scripts/bench runs.
        .executableTarget(name: "bench-audit", dependencies: ["Audit", "Mesh", crypto], swiftSettings: strict),
        .executableTarget(
            name: "bench-datapath", dependencies: ["Datapath", "Mesh", "CLinux"], exclude: ["BPF"],
            swiftSettings: strict,
            plugins: ["EmbedBPF"]),
        .executableTarget(
            name: "bench-map", dependencies: ["PosternCoordinator", "CoordinationAPI", "Mesh"], swiftSettings: strict),
        .executableTarget(name: "bench-policy", dependencies: ["Cedar"], swiftSettings: strict),
        .executableTarget(name: "bench-wireguard", dependencies: ["WireGuard", "Mesh"], swiftSettings: strict),

        // Building: eBPF C to bytes in Swift.
        .executableTarget(name: "embed-bpf", swiftSettings: strict),
        .plugin(name: "EmbedBPF", capability: .buildTool(), dependencies: ["embed-bpf"]),

        // Tests: one folder a target.
        .testTarget(name: "ArchitectureTests", swiftSettings: strict),
        .testTarget(name: "MeshTests", dependencies: ["Mesh"], swiftSettings: strict),
        .testTarget(name: "CedarTests", dependencies: ["Cedar"], swiftSettings: strict),
        .testTarget(
            name: "CoordinationAPITests", dependencies: ["CoordinationAPI", "Mesh", crypto], swiftSettings: strict),
        .testTarget(name: "AuditTests", dependencies: ["Audit", "Mesh", crypto], swiftSettings: strict),
        .testTarget(name: "IdentityTests", dependencies: ["Identity", "Mesh", crypto, x509], swiftSettings: strict),
        .testTarget(name: "AuthorizationTests", dependencies: ["Authorization", "Mesh"], swiftSettings: strict),
        .testTarget(name: "TelemetryTests", dependencies: ["Telemetry", "Mesh"], swiftSettings: strict),
        .testTarget(name: "WireGuardTests", dependencies: ["WireGuard", "Mesh", "CLinux"], swiftSettings: strict),
        .testTarget(
            name: "DatapathTests", dependencies: ["Datapath", "Mesh", "CLinux", "CPosternABI", "CBpf"],
            swiftSettings: strict),
        .testTarget(
            name: "SandboxTests", dependencies: ["Sandbox", "Mesh", "CLinux", "postern-session"], swiftSettings: strict),
        .testTarget(
            name: "PosternNodeTests",
            dependencies: [
                "PosternNode", "Mesh", "CoordinationAPI", "Audit", "Identity", "Authorization", "WireGuard", "Datapath",
                "CLinux",
                crypto, nio, nioPosix, nioHTTP, nioTLS,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "PosternCoordinatorTests",
            dependencies: [
                "PosternCoordinator", "Mesh", "CoordinationAPI", "Audit", "Identity", "Authorization",
                crypto, logging, httpClient, httpTypes, nio, nioPosix, nioHTTP, nioTLS, grdb,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "PosternCLITests",
            dependencies: [
                "PosternCLI", "Mesh", "CoordinationAPI", "Audit", "Identity", "CLinux", crypto, arguments, nio,
                nioPosix,
                nioHTTP,
                nioTLS,
            ],
            swiftSettings: strict),
    ]
)
