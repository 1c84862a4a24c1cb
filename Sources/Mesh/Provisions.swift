/// What a session of an agent is given of its node, beside what every session has.
package struct Provisions: Equatable, Sendable {
    /// Files and directories, shown read-only at their own paths.
    package var paths: Set<String>
    /// Character devices below `/dev`, with the rights that their owner, group and mode leave the agent's user.
    package var devices: Set<String>
    /// Whether its programs may make user namespaces, as browsers do for enclosures of their own.
    package var userNamespaces: Bool

    package static let none = Provisions()

    package init(paths: Set<String> = [], devices: Set<String> = [], userNamespaces: Bool = false) {
        (self.paths, self.devices, self.userNamespaces) = (paths, devices, userNamespaces)
    }
}

extension Provisions: Codable {
    private enum CodingKeys: CodingKey { case paths, devices, userNamespaces }
    /// More than an agent has been seen to need.
    private static let most = 64
    private static let longest = 1024

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        paths = try container.decode(Set<String>.self, forKey: .paths)
        devices = try container.decode(Set<String>.self, forKey: .devices)
        userNamespaces = try container.decode(Bool.self, forKey: .userNamespaces)
        guard let problem else { return }
        throw DecodingError.dataCorruptedError(forKey: .paths, in: container, debugDescription: problem)
    }

    // Sets are written in order, so that the same definition is always the same text.
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(paths.sorted(), forKey: .paths)
        try container.encode(devices.sorted(), forKey: .devices)
        try container.encode(userNamespaces, forKey: .userNamespaces)
    }

    /// Why no agent can have it; whether a node can give it, the node says when a session begins.
    package var problem: String? {
        guard paths.count + devices.count <= Self.most else {
            return "an agent is given at most \(Self.most) paths and devices"
        }
        if let path = paths.union(devices).first(where: { !Self.isPlain($0) }) {
            return "`\(path.prefix(80))` is not an absolute path without `.`, `..` and needless `/`, of at most "
                + "\(Self.longest) bytes"
        }
        guard let device = devices.first(where: { !$0.hasPrefix("/dev/") }) else { return nil }
        return "`\(device)` is no device below `/dev`"
    }

    private static func isPlain(_ path: String) -> Bool {
        let parts = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        return path.hasPrefix("/") && path.utf8.count <= longest
            && !path.unicodeScalars.contains { $0.value < 32 || $0.value == 127 }
            && !parts.contains { ["", ".", ".."].contains($0) }
    }
}
