import CoordinationAPI
import Foundation
import Mesh

@testable import PosternCLI

/// Values that tests show.
enum Sample {
    static let session = SessionID(unchecked: "00112233445566778899aabbccddeeff")
    static let agent = AgentName(unchecked: "writer")
    static let now = Timestamp(rawValue: 1_769_850_000_000)

    static func status() throws -> NodeStatus {
        guard let key = WireGuardPublicKey(bytes: [UInt8](repeating: 7, count: 32)) else {
            throw CocoaError(.coderInvalidValue)
        }
        return NodeStatus(
            mesh: MeshDomain(unchecked: "demo.internal"), node: NodeName(unchecked: "node-a"), address: "10.64.0.1",
            address6: "fd00::1", pool: "10.64.0.0/14", mapVersion: 12, mapIssuedAt: now + .seconds(-3),
            mapValidUntil: now + .seconds(86_400 - 60), coordinatorURL: "https://192.0.2.1:7443",
            coordinatorError: nil,
            devices: [
                .init(
                    name: "postern0", session: nil, listenPort: 51820, classifierAttached: true,
                    peers: [
                        .init(
                            name: "node-b", address: "10.64.0.2", key: key, endpoint: "192.0.2.2:51820",
                            lastHandshake: now + .seconds(-12), received: 1536, sent: 12)
                    ]),
                .init(name: "pt1", session: session, listenPort: 51821, classifierAttached: false, peers: []),
            ],
            sessions: [
                .init(
                    id: session, agent: agent, address: "10.64.0.9", device: "pt1", expires: now + .seconds(890),
                    maximum: now + .seconds(28_000), processID: 4711, owner: 4_000_000_000,
                    person: UserName(unchecked: "ann"))
            ],
            packets: [
                .init(direction: "ingress", reason: "no grant", passed: false, packets: 3, bytes: 180),
                .init(
                    direction: "egress", reason: "allowed", passed: true, packets: 40, bytes: 2400,
                    packetsPerSecond: 1.25),
            ],
            problems: ["cannot reach node `node-c`"])
    }
}

extension Sample {
    /// A node to which nothing is missing.
    static func connected() throws -> NodeStatus {
        var status = try self.status()
        status.problems = []
        status.mapValidUntil = wallClock() + .seconds(3600)
        return status
    }

    static func session(of agent: String) throws -> PeerReport {
        PeerReport(
            kind: .session, node: NodeName(unchecked: "node-a"), addresses: ["10.64.0.9", "fd00::9"], key: try key(),
            endpoints: ["192.0.2.1:40001"], session: session, agent: AgentName(unchecked: agent),
            owner: UserName(unchecked: "ana"), until: now + .seconds(900))
    }

    static func node(_ name: String) throws -> PeerReport {
        PeerReport(
            kind: .node, node: NodeName(unchecked: name), addresses: ["10.64.0.2", "fd00::2"], key: try key(),
            endpoints: ["192.0.2.2:51820"], services: [ServiceName(unchecked: "ledger")])
    }

    static func token(node: String?) throws -> JoinToken {
        let fingerprint = Fingerprint(of: [1, 2, 3])
        return JoinToken(
            mesh: MeshDomain(unchecked: "demo.internal"), url: "https://192.0.2.1:7443", ca: fingerprint,
            admin: fingerprint, node: node.map { NodeName(unchecked: $0) }, expires: now + .seconds(900),
            secret: "not much of a secret")
    }

    private static func key() throws -> WireGuardPublicKey {
        guard let key = WireGuardPublicKey(bytes: [UInt8](repeating: 7, count: 32)) else {
            throw CocoaError(.coderInvalidValue)
        }
        return key
    }
}

/// A folder for one test, gone with it.
final class TemporaryFolder {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "postern-test-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Writes a file and gives its path.
    func file(_ name: String, _ text: some Sequence<UInt8>, mode: Int = 0o600) throws -> String {
        let file = path + "/" + name
        _ = FileManager.default.createFile(
            atPath: file, contents: Data(text), attributes: [.posixPermissions: mode])
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file)
        return file
    }
}
