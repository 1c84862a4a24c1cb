import CoordinationAPI
package import Mesh

#if canImport(FoundationEssentials)
    import FoundationEssentials
    import Glibc
#else
    import Foundation
#endif

/// The node's files, in one directory that only root can enter.
///
/// A file is replaced as a whole or not at all: whoever cuts the power finds the old one or the new one.
package struct StateDirectory: Sendable {
    package let path: String

    /// What the node keeps of its membership.
    package struct Membership: Codable, Equatable, Sendable {
        package let mesh: MeshDomain
        package let pool: AddressPool
        package let node: NodeName
        package let url: String
        /// Where other nodes reach this one, best first.
        package var endpoints: [Endpoint]
        /// Whether a person said so; otherwise it is what the machine's addresses are.
        package let hasFixedEndpoints: Bool
        /// The CA certificate, in PEM, whose fingerprint stood in the join token.
        package let ca: String
        /// The node's certificate, in PEM.
        package var certificate: String
        /// The first admin's public key (base64), whose fingerprint stood in the join token.
        package let adminKey: String
    }

    package enum File: String, Sendable {
        case membership = "membership.json"
        case tlsKey = "tls.key"
        case wireGuardKey = "wireguard.key"
        /// There while the key is exchanged for a new one.
        case nextWireGuardKey = "wireguard.next.key"
        /// There while the mesh is down.
        case down
        /// The map, as records behind one another.
        case map = "map.journal"
        /// What the node must never go back behind.
        case seen = "seen.json"
    }

    /// Makes the directory, with mode 0700, if it is not there, and what is missing above it.
    package init(path: String) throws(NodeError) {
        self.path = path
        try? FileManager.default.createDirectory(
            atPath: URL(fileURLWithPath: path).deletingLastPathComponent().path, withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o755])
        if unsafe mkdir(path, 0o700) != 0, errno != EEXIST { throw NodeError("cannot make `\(path)`: \(errorText())") }
        try checkOwn(directory: path)
    }

    /// The bytes of a file; nil when there is none.
    package func read(_ file: File, upTo limit: Int) throws(NodeError) -> [UInt8]? {
        try read(file.rawValue, upTo: limit)
    }

    /// Replaces a file: what returns has been written for good, whatever happens to the machine.
    package func write(_ file: File, _ bytes: [UInt8], by disk: DiskCalls = .real) throws(NodeError) {
        try write(file.rawValue, bytes, by: disk)
    }

    func read(_ file: String, upTo limit: Int) throws(NodeError) -> [UInt8]? {
        let name = path + "/" + file
        let descriptor = unsafe open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw NodeError("cannot open `\(name)`: \(errorText())")
        }
        defer { close(descriptor) }
        return try readAll(descriptor, name: name, upTo: limit)
    }

    func write(_ file: String, _ bytes: [UInt8], by disk: DiskCalls = .real) throws(NodeError) {
        let name = path + "/" + file
        let temporary = name + ".new"
        // What a broken-off write left has perhaps another mode, or is a link: the new file is always a fresh one.
        _ = disk.remove(temporary)
        let descriptor = disk.create(temporary)
        guard descriptor >= 0 else { throw NodeError("cannot write `\(temporary)`: \(errorText(-descriptor))") }
        defer { close(descriptor) }
        for step in [
            { disk.write(descriptor, bytes) }, { disk.sync(descriptor) }, { disk.rename(temporary, name) },
            { disk.syncDirectory(path) },
        ] {
            let status = step()
            guard status >= 0 else { throw NodeError("cannot write `\(name)`: \(errorText(-status))") }
        }
    }

    /// Whether `postern down` was the last word.
    package func isDown() throws(NodeError) -> Bool { try read(.down, upTo: 4096) != nil }

    package func setDown(_ isDown: Bool) throws(NodeError) {
        guard !isDown else { return try write(.down, Array("`postern up` brings the mesh up\n".utf8)) }
        let name = path + "/" + File.down.rawValue
        guard unsafe unlink(name) == 0 || errno == ENOENT else {
            throw NodeError("cannot remove `\(name)`: \(errorText())")
        }
    }

    /// Writes behind the end of a file that is there; what returns has been written for good.
    func append(_ bytes: [UInt8], to file: File, by disk: DiskCalls) throws(NodeError) {
        let name = path + "/" + file.rawValue
        let descriptor = disk.extend(name)
        guard descriptor >= 0 else { throw NodeError("cannot open `\(name)`: \(errorText(-descriptor))") }
        defer { close(descriptor) }
        for step in [{ disk.write(descriptor, bytes) }, { disk.sync(descriptor) }] {
            let status = step()
            guard status >= 0 else { throw NodeError("cannot write `\(name)`: \(errorText(-status))") }
        }
    }

    /// Takes a file away, or at least what is in it.
    func remove(_ file: File, by disk: DiskCalls) throws(NodeError) {
        let name = path + "/" + file.rawValue
        let status = disk.remove(name)
        if status < 0, status != -ENOENT, disk.empty(name) < 0 {
            throw NodeError("cannot remove `\(name)`: \(errorText(-status))")
        }
        _ = disk.syncDirectory(path)
    }

    /// Keeps other daemons from this directory while it lives.
    package final class Lock: Sendable {
        private let descriptor: Int32
        fileprivate init(descriptor: Int32) { self.descriptor = descriptor }
        deinit { close(descriptor) }
    }

    package func lock() throws(NodeError) -> Lock {
        let name = path + "/lock"
        let descriptor = unsafe open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw NodeError("cannot open `\(name)`: \(errorText())") }
        let lock = Lock(descriptor: descriptor)
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw NodeError("another posternd runs on `\(path)`: end it first")
        }
        return lock
    }

    package func membership() throws(NodeError) -> Membership? {
        guard let bytes = try read(.membership, upTo: 1 << 16) else { return nil }
        do { return try JSON.decode(Membership.self, from: bytes) } catch {
            throw NodeError("`\(path)/\(File.membership.rawValue)` cannot be read: \(error)")
        }
    }
}

extension StateDirectory {
    /// What must not be gone back behind. What cannot be read is no reason to forget it: the node does not start.
    func seen() throws(NodeError) -> Seen? {
        guard let bytes = try read(.seen, upTo: 4096) else { return nil }
        do { return try JSON.decode(Seen.self, from: bytes) } catch {
            throw NodeError("`\(path)/\(File.seen.rawValue)` cannot be read: \(error)")
        }
    }
}

extension StateDirectory.Membership {
    /// The port of the node's WireGuard device, the same at every address.
    package var port: Port { endpoints[0].port }

    /// The port that is taken unless a person chose another.
    package static var usualPort: Port {
        guard let port = Port(rawValue: 51_820) else { preconditionFailure("51820 is a port") }
        return port
    }

    private enum Key: CodingKey {
        case mesh, pool, node, url, endpoint, endpoints, hasFixedEndpoints, ca, certificate, adminKey
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        mesh = try container.decode(MeshDomain.self, forKey: .mesh)
        pool = try container.decode(AddressPool.self, forKey: .pool)
        node = try container.decode(NodeName.self, forKey: .node)
        url = try container.decode(String.self, forKey: .url)
        // The first version kept the one endpoint that a person had given.
        let first = try container.decodeIfPresent(Endpoint.self, forKey: .endpoint)
        endpoints = try first.map { [$0] } ?? container.decode([Endpoint].self, forKey: .endpoints)
        hasFixedEndpoints = try first != nil || container.decode(Bool.self, forKey: .hasFixedEndpoints)
        ca = try container.decode(String.self, forKey: .ca)
        certificate = try container.decode(String.self, forKey: .certificate)
        adminKey = try container.decode(String.self, forKey: .adminKey)
        guard !endpoints.isEmpty else {
            throw DecodingError.dataCorruptedError(
                forKey: .endpoints, in: container, debugDescription: "there must be one endpoint at least")
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(mesh, forKey: .mesh)
        try container.encode(pool, forKey: .pool)
        try container.encode(node, forKey: .node)
        try container.encode(url, forKey: .url)
        try container.encode(endpoints, forKey: .endpoints)
        try container.encode(hasFixedEndpoints, forKey: .hasFixedEndpoints)
        try container.encode(ca, forKey: .ca)
        try container.encode(certificate, forKey: .certificate)
        try container.encode(adminKey, forKey: .adminKey)
    }
}

/// Everything a descriptor gives until its end; an error past the limit.
func readAll(_ descriptor: Int32, name: String, upTo limit: Int) throws(NodeError) -> [UInt8] {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while true {
        let size = chunk.count
        let count = unsafe chunk.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress, size) }
        if count < 0, errno == EINTR { continue }
        guard count >= 0 else { throw NodeError("cannot read `\(name)`: \(errorText())") }
        guard count > 0 else { return bytes }
        bytes += chunk[..<count]
        guard bytes.count <= limit else { throw NodeError("`\(name)` is longer than \(limit) bytes") }
    }
}

/// Writes all bytes, whatever the kernel takes at a time.
func writeAll(_ descriptor: Int32, _ bytes: [UInt8]) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
        let size = rest.count
        let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, size) }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return false }
        rest = rest.dropFirst(count)
    }
    return true
}

/// The text of `errno`.
func errorText(_ code: Int32 = errno) -> String { unsafe String(cString: strerror(code)) }
