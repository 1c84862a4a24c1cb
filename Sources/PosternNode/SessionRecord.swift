import CoordinationAPI
import FoundationEssentials
import Glibc
import Mesh
import Sandbox
import WireGuard

/// What the disk keeps of a session, so that a daemon that starts while it runs can go on with it.
struct SessionRecord: Codable, Equatable, Sendable {
    let id: SessionID
    let agent: AgentName
    let device: String
    /// The private key, in base64: the file is for root alone.
    let key: String
    let port: Port
    /// There while the key is exchanged for this one.
    let nextKey: String?
    /// Since when it has had its key: nanoseconds since boot, which no session outlives.
    var keyedAt: UInt64?
    /// Who started it.
    let owner: UInt32
    /// For whom it runs.
    let person: PersonProof?
    let cgroup: String
    /// Whether its command is left alone when the session ends.
    var outlives: Bool?
    /// Whether the session has ended, and its command alone runs on.
    var isCut: Bool?
    /// The session's first process, once it runs.
    var process: Process?

    struct Process: Codable, Equatable, Sendable {
        let id: Int32
        /// In clock ticks since boot.
        let startTime: UInt64
    }

    init(of session: LocalSession, owner: UInt32, cgroup: String) {
        (id, agent, device) = (session.id, session.agent, session.device.rawValue)
        (key, port) = (encodeBase64(session.key.bytes), session.port)
        nextKey = session.next.map { encodeBase64($0.bytes) }
        (self.owner, self.cgroup, person) = (owner, cgroup, session.person)
    }

    /// The session; nil when the record has been damaged.
    var session: LocalSession? {
        guard let device = DeviceName(device), let key = Self.key(key) else { return nil }
        return LocalSession(
            id: id, agent: agent, device: device, key: key, port: port, next: nextKey.flatMap(Self.key),
            person: person)
    }

    private static func key(_ text: String) -> WireGuardPrivateKey? {
        decodeBase64(text).flatMap { WireGuardPrivateKey(bytes: $0) }
    }
}

/// The records of this node's sessions, in a directory of their own, and what lets a session be found again.
struct SessionRecords: Sendable {
    private let directory: StateDirectory
    private static let suffix = ".json"
    private static let limit = 1 << 16

    init(below state: StateDirectory) throws(NodeError) {
        directory = try StateDirectory(path: state.path + "/sessions")
    }

    func rendezvous(of id: SessionID) -> Rendezvous {
        Rendezvous(socket: "\(directory.path)/\(id).sock", ending: "\(directory.path)/\(id).end")
    }

    func write(_ record: SessionRecord) throws {
        try directory.write(record.id.rawValue + Self.suffix, try JSON.encode(record))
    }

    func remove(_ id: SessionID) {
        rendezvous(of: id).remove()
        unsafe unlink("\(directory.path)/\(id)\(Self.suffix)")
    }

    /// The sessions that left a file; nil for a record that cannot be read.
    func all() throws -> [SessionID: SessionRecord?] {
        let names = try FileManager.default.contentsOfDirectory(atPath: directory.path)
        let ids = names.compactMap { $0.split(separator: ".").first }.compactMap { try? SessionID(String($0)) }
        return Dictionary(Set(ids).map { ($0, read($0)) }, uniquingKeysWith: { first, _ in first })
    }

    private func read(_ id: SessionID) -> SessionRecord? {
        guard let bytes = try? directory.read(id.rawValue + Self.suffix, upTo: Self.limit),
            let record = try? JSON.decode(SessionRecord.self, from: bytes), record.id == id
        else { return nil }
        return record
    }
}
