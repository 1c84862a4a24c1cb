internal import CLinux
internal import CPosternABI
internal import Glibc

/// Answers a session's connect with EPERM at once where the classifier would drop it in silence.
///
/// Attached to the session's cgroup. It is a help, not the wall: the classifier decides again.
package enum ConnectHook {
    private static let hooks: [(name: String, attachType: Int)] = [
        ("connect4", PT_CGROUP_CONNECT4), ("connect6", PT_CGROUP_CONNECT6),
        ("sendmsg4", PT_CGROUP_SENDMSG4), ("sendmsg6", PT_CGROUP_SENDMSG6),
    ]

    /// - Parameter cgroup: the directory of a cgroup of version 2.
    package static func attach(
        cgroup: String, identity: DeviceIdentity, tables: borrowing Tables, pins path: String
    ) throws(DatapathError) {
        let pins = try PinDirectory(path)
        let opened = unsafe open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard opened >= 0 else { throw DatapathError("open the cgroup `\(cgroup)`", errno: errno) }
        let directory = Descriptor(owning: opened)
        let object = try load(identity, tables: tables)
        for hook in hooks {
            let result = pt_bpf_link_cgroup(
                try object.descriptor(of: hook.name), directory.raw, Int32(hook.attachType))
            let link = Descriptor(owning: try DatapathError.check(result, "attach the connect hook to `\(cgroup)`"))
            try pins.replace(hook.name, with: link)
        }
    }

    package static func detach(pins path: String) throws(DatapathError) {
        try PinDirectory.removeAll(hooks.map(\.name), at: path)
    }

    private static func load(
        _ identity: DeviceIdentity, tables: borrowing Tables
    ) throws(DatapathError) -> ProgramObject {
        let object = try ProgramObject("connect hook", base64: connectObject)
        try object.freeze(identity.frozen())
        try object.share(tables)
        try object.load()
        return object
    }
}
