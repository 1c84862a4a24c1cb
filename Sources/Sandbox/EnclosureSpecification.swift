import Foundation
package import Mesh

/// One line of the enclosure's `/etc/hosts`.
package struct HostsEntry: Codable, Equatable, Sendable {
    package var address: String
    package var names: [String]
    package init(address: String, names: [String]) { (self.address, self.names) = (address, names) }
}

/// All that `postern-session` is told: what to run, as whom, and what of the machine it sees.
///
/// A value of this type has been checked, also one that came as bytes.
package struct EnclosureSpecification: Codable, Equatable, Sendable {
    package let session: SessionID
    package let command: [String]
    /// Filtered by `EnvironmentFilter` where the caller's is read.
    package let environment: [String: String]
    package let workingDirectory: String
    package let hosts: [HostsEntry]
    /// Whose the working directory is.
    package let uid: UInt32
    package let gid: UInt32
    /// A uid, and gid, of the session's own, as which its processes run; the working directory shows the owner's files
    /// as theirs, and makes theirs the owner's. Without one they are `uid` and `gid` themselves.
    package let ownUID: UInt32?
    /// Whether the command is uid 0 of a user namespace that holds nobody but this uid: root by name, without rights.
    package let asRoot: Bool
    /// Whether the command may make user namespaces, as browsers do for their own enclosures.
    package let userNamespaces: Bool
    /// Where the command is at a terminal: how large it is at first. Standard input is then the socket to which
    /// the terminal's outer end goes.
    package let terminal: TerminalSize?
    package let hostName: String
    /// How long the session lives without `EnclosureCommand.lease`, counted by CLOCK_BOOTTIME.
    package let timeToLive: Duration
    /// Whether the command goes on when that is over, without a network.
    package let outlivesLease: Bool
    /// Shown read-only at their own paths, beside `/usr` and `/etc`.
    package let readOnlyPaths: [String]
    /// Never shown, neither as working directory nor as a read-only path: the daemon's own state.
    package let hiddenPaths: [String]
    /// Character devices below `/dev`, beside the harmless ones that every session has.
    package let devices: [String]

    package init(
        session: SessionID, command: [String], environment: [String: String], workingDirectory: String,
        hosts: [HostsEntry], uid: UInt32, gid: UInt32, hostName: String, timeToLive: Duration,
        readOnlyPaths: [String] = [], hiddenPaths: [String] = ["/var/lib/postern"], devices: [String] = [],
        asRoot: Bool = false, ownUID: UInt32? = nil,
        userNamespaces: Bool = false, terminal: TerminalSize? = nil, outlivesLease: Bool = false
    ) throws(SandboxError) {
        self.session = session
        self.command = command
        self.environment = environment
        self.workingDirectory = workingDirectory
        self.hosts = hosts
        (self.uid, self.gid, self.ownUID) = (uid, gid, ownUID)
        self.hostName = hostName
        (self.timeToLive, self.outlivesLease) = (timeToLive, outlivesLease)
        (self.readOnlyPaths, self.hiddenPaths, self.devices) = (readOnlyPaths, hiddenPaths, devices)
        (self.asRoot, self.userNamespaces, self.terminal) = (asRoot, userNamespaces, terminal)
        try check()
    }
}

extension EnclosureSpecification {
    /// Whom the command is outside; and inside too, unless `asRoot`.
    var processUID: UInt32 { ownUID ?? uid }
    var processGID: UInt32 { ownUID ?? gid }

    /// More than any command line that Linux takes with its environment in ordinary use.
    package static let maximumLength = 256 << 10
    /// The home inside: a fresh tmpfs.
    package static let home = "/home/agent"
    static let longestLife = Duration.seconds(31 * 86_400)

    /// The bytes that go to `postern-session`.
    package func encoded() throws(SandboxError) -> [UInt8] {
        let bytes: [UInt8]
        do { bytes = try [UInt8](JSONEncoder().encode(self)) } catch {
            throw SandboxError(.specification, "cannot encode the session's specification: \(error)")
        }
        guard bytes.count <= Self.maximumLength else {
            throw SandboxError(
                .specification,
                "the command with its environment is \(bytes.count) bytes; at most \(Self.maximumLength) fit")
        }
        return bytes
    }

    /// Reads what `encoded()` wrote; anything else is refused with a sentence.
    package static func decoded(_ bytes: [UInt8]) throws(SandboxError) -> EnclosureSpecification {
        guard bytes.count <= maximumLength else {
            throw SandboxError(.specification, "the session's specification is longer than \(maximumLength) bytes")
        }
        let specification: EnclosureSpecification
        do { specification = try JSONDecoder().decode(Self.self, from: Data(bytes)) } catch {
            throw SandboxError(.specification, "the session's specification (\(bytes.count) bytes) cannot be read")
        }
        try specification.check()
        return specification
    }

    private func check() throws(SandboxError) {
        try checkIdentity()
        try checkCommand()
        for path in [workingDirectory] + readOnlyPaths + hiddenPaths + devices { try Self.checkPath(path) }
        for entry in hosts { try Self.checkHosts(entry) }
        guard timeToLive > .zero, timeToLive <= Self.longestLife else {
            throw SandboxError(.specification, "a session lives longer than nothing and at most 31 days")
        }
    }

    private func checkIdentity() throws(SandboxError) {
        guard uid != 0, uid != .max else {
            throw SandboxError(.identity, "an agent may not run as root: give a uid other than 0")
        }
        guard gid != 0, gid != .max else {
            throw SandboxError(.identity, "an agent may not run with root's group: give a gid other than 0")
        }
        guard ownUID != 0, ownUID != .max, ownUID != uid else {
            throw SandboxError(.identity, "a session's own uid is neither root's nor its owner's")
        }
        guard (1...63).contains(hostName.utf8.count), hostName.utf8.allSatisfy(Self.isNameByte) else {
            throw SandboxError(.specification, "`\(hostName.prefix(80))` is not a host name of at most 63 bytes")
        }
    }

    private func checkCommand() throws(SandboxError) {
        guard let program = command.first, !program.isEmpty else {
            throw SandboxError(.specification, "no command was given")
        }
        let pairs = environment.map { "\($0.key)=\($0.value)" }
        guard !(command + pairs).contains(where: { $0.utf8.contains(0) }) else {
            throw SandboxError(.specification, "the command or its environment contains a NUL byte")
        }
        if let name = environment.keys.first(where: { $0.isEmpty || $0.utf8.contains(UInt8(ascii: "=")) }) {
            throw SandboxError(.specification, "`\(name.prefix(80))` cannot be the name of an environment variable")
        }
    }

    private static func checkPath(_ path: String) throws(SandboxError) {
        let parts = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        guard path.hasPrefix("/"), path.utf8.count < 4096, !path.utf8.contains(0),
            path == "/" || !parts.contains(where: { ["", ".", ".."].contains($0) })
        else {
            throw SandboxError(
                .specification, "`\(path.prefix(80))` is not an absolute path without `.`, `..` and needless `/`")
        }
    }

    private static func checkHosts(_ entry: HostsEntry) throws(SandboxError) {
        let isAddress = (2...45).contains(entry.address.utf8.count) && entry.address.utf8.allSatisfy(isAddressByte)
        guard isAddress, !entry.names.isEmpty,
            entry.names.allSatisfy({ (1...253).contains($0.utf8.count) && $0.utf8.allSatisfy(isNameByte) })
        else {
            throw SandboxError(
                .specification, "`\(entry.address.prefix(80))` with its names cannot be a line of /etc/hosts")
        }
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."): true
        default: false
        }
    }

    private static func isAddressByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        case UInt8(ascii: ":"), UInt8(ascii: "."): true
        default: false
        }
    }
}
