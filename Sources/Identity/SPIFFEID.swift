package import Mesh

/// Who somebody is, as the URI of a certificate: `spiffe://MESH/node/NAME`.
///
/// One text for each identity: no escapes, no empty parts, no upper case (SPIFFE-ID §2).
package struct SPIFFEID: Hashable, Sendable, CustomStringConvertible {
    package enum Role: Hashable, Sendable {
        case node(NodeName)
        case agent(AgentName)
        case admin(UserName)
        case coordinator
    }

    package let mesh: MeshDomain
    package let role: Role

    package init(mesh: MeshDomain, role: Role) { (self.mesh, self.role) = (mesh, role) }

    package static let maximumLength = 2048
    static let scheme = "spiffe://"

    package init(_ text: String) throws(IdentityError) {
        guard text.utf8.count <= Self.maximumLength, text.hasPrefix(Self.scheme) else {
            throw .notAnID(text, because: "it does not start with `\(Self.scheme)`")
        }
        let parts = text.dropFirst(Self.scheme.count).split(
            separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
        do {
            mesh = try MeshDomain(String(parts[0]))
            role = try Self.role(of: parts.dropFirst().map(String.init))
        } catch let error as NameError { throw .notAnID(text, because: error.description) } catch {
            throw .notAnID(text, because: "it names no node, agent, admin or coordinator")
        }
        // `/` and `@` are fine in some names but must not give one identity two texts, or a text no URI can have.
        guard description == text, !text.contains("@") else {
            throw .notAnID(text, because: "it is not in its one form")
        }
    }

    private struct UnknownRole: Error {}

    private static func role(of path: [String]) throws -> Role {
        switch (path.first, path.dropFirst().first) {
        case ("node", let name?): .node(try NodeName(name))
        case ("agent", let name?): .agent(try AgentName(name))
        case ("admin", let name?): .admin(try UserName(name))
        case ("coordinator", nil): .coordinator
        default: throw UnknownRole()
        }
    }

    package var description: String {
        switch role {
        case .node(let name): "\(Self.scheme)\(mesh)/node/\(name)"
        case .agent(let name): "\(Self.scheme)\(mesh)/agent/\(name)"
        case .admin(let name): "\(Self.scheme)\(mesh)/admin/\(name)"
        case .coordinator: "\(Self.scheme)\(mesh)/coordinator"
        }
    }
}
