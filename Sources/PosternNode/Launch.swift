import Authorization
import CLinux
import Glibc
import Mesh

extension Node {
    /// Those whom the agent's definition names may, root may, and those whom policy permits; a forbid stands above all.
    func mayLaunch(
        _ agent: AgentDefinition, _ caller: Caller, for person: UserName?, on connection: LocalConnection
    ) throws(NodeError) {
        readPolicyIfStale()
        guard let policy else { throw NodeError("this node cannot read the mesh's policies: its log says why") }
        let decision = try policy.decideLaunch(of: agent.name, on: local.name, for: person, now: trustedNow) {
            () throws(NodeError) in try caller.selectors(on: connection.descriptor)
        }
        switch decision {
        case .permitted: return
        case .forbidden(let policies):
            let names = policies.map(\.description).joined(separator: ", ")
            throw NodeError(
                "a policy forbids \(person.map { "`\($0)`" } ?? "the user with the id \(caller.uid)") to launch agent `\(agent.name)` here now: \(names)"
            )
        case .silent:
            guard caller.uid == 0 || agent.users.contains(caller.uid) else {
                throw NodeError(
                    "the user with the id \(caller.uid) may not launch agent `\(agent.name)`: an admin says who may with "
                        + "`postern agent create \(agent.name) … --uid \(caller.uid)`, or with a policy that permits "
                        + "`agent:launch`")
            }
        }
    }
}

extension Caller {
    private static let maximumGroups = 1024

    /// What policies are told of who starts an agent, by this machine's numbers and by the names that it has for them:
    /// `unix:uid`, `unix:user`, `unix:gid`, and for each group `unix:group:NAME` with its number.
    ///
    /// - Parameter descriptor: the caller's connection.
    func selectors(on descriptor: Int32) throws(NodeError) -> [String: String] {
        var selectors = ["unix:uid": "\(uid)", "unix:gid": "\(gid)"]
        let user = try Self.lookUp("user \(uid)") {
            unsafe getpwuid(uid).map { unsafe String(cString: $0.pointee.pw_name) }
        }
        if let user { selectors["unix:user"] = user }
        for group in try Set(groups(on: descriptor) + [gid]) {
            let name = try Self.lookUp("group \(group)") {
                unsafe getgrgid(group).map { unsafe String(cString: $0.pointee.gr_name) }
            }
            if let name { selectors["unix:group:\(name)"] = "\(group)" }
        }
        return selectors
    }

    /// A name, nil where there is none. A directory that does not answer is an error: a forbid may be about the name.
    private static func lookUp(_ what: String, _ ask: () -> String?) throws(NodeError) -> String? {
        errno = 0
        let name = ask()
        // The others mean that there is none (getpwnam(3)).
        guard name == nil, [EINTR, EIO, EMFILE, ENFILE, ENOMEM, ERANGE].contains(errno) else { return name }
        throw NodeError("this machine cannot tell the name of \(what): \(errorText(errno))")
    }

    /// As they were when it connected. Not to know one would let it past a forbid.
    private func groups(on descriptor: Int32) throws(NodeError) -> [UInt32] {
        var groups = [UInt32](repeating: 0, count: Self.maximumGroups)
        let count = unsafe groups.withUnsafeMutableBufferPointer {
            unsafe pt_unix_peer_groups(descriptor, $0.baseAddress, $0.count)
        }
        guard count >= 0 else {
            throw NodeError("the kernel does not say in which groups the caller is: \(errorText(Int32(-count)))")
        }
        return Array(groups.prefix(Int(count)))
    }
}
