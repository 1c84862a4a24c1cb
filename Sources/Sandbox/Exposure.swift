import Foundation

/// Which of the machine's paths a session may be shown.
///
/// Paths are canonical here: absolute, without links, `.`, `..` and doubled slashes.
enum Exposure {
    /// Neither these nor anything below or above them can be a working directory.
    private static let systemTrees = [
        "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/root", "/run", "/sbin",
        "/sys", "/usr", "/var/cache", "/var/log", "/var/run", "/var/spool",
    ]
    /// These hold what belongs to many: not they themselves, but a directory below them may be given.
    private static let sharedDirectories = [
        "/home", "/media", "/mnt", "/opt", "/srv", "/tmp", "/var", "/var/lib", "/var/tmp",
    ]
    /// What holds sockets and the machine's controls is not even shown read-only: one can connect through it.
    private static let unreadableTrees = ["/dev", "/proc", "/run", "/sys", "/var/run"]

    /// The paths, and where they lead when a link stands in them.
    static func withTargets(_ paths: [String]) -> [String] {
        paths + paths.compactMap(target(of:))
    }

    private static func target(of path: String) -> String? {
        guard let target = unsafe realpath(path, nil) else { return nil }
        defer { unsafe free(target) }
        return unsafe String(cString: target)
    }

    /// Why the path cannot be the writable working directory of an agent; nil when it can.
    static func refusal(ofWorkingDirectory path: String, hidden: [String]) -> String? {
        guard path.hasPrefix("/"), path != "/" else { return "it is the whole machine" }
        if let tree = (systemTrees + hidden).first(where: { touches(path, $0) }) {
            return path == tree || contains(tree, path)
                ? "it belongs to the system's `\(tree)`" : "it contains the system's `\(tree)`"
        }
        guard let shared = sharedDirectories.first(where: { contains(path, $0) }) else { return nil }
        return path == shared ? "others keep their files there; use a directory below it" : "it contains `\(shared)`"
    }

    /// Why a user's directory is more than an agent may write to; nil when it is not.
    ///
    /// Shells, logins and sshd run and trust what stands in a home, so who can write there is the user outside.
    static func refusal(ofHome path: String, homes: [String], holdsKeys: Bool) -> String? {
        if let home = homes.first(where: { contains(path, $0) }) {
            return (path == home ? "it is a home" : "it contains the home `\(home)`") + "; use a directory below that"
        }
        return holdsKeys ? "it holds a `.ssh`, as a home does; use a directory below it" : nil
    }

    /// Why the path cannot be shown read-only; nil when it can.
    static func refusal(ofReadOnlyPath path: String, hidden: [String]) -> String? {
        guard path.hasPrefix("/"), path != "/" else { return "it is the whole machine" }
        guard path != "/tmp" else { return "others keep their sockets there; name a path below it" }
        guard !contains(path, EnclosureSpecification.home) else {
            return "it would cover the session's own `\(EnclosureSpecification.home)`; name a path below it"
        }
        guard let tree = (unreadableTrees + hidden).first(where: { touches(path, $0) }) else { return nil }
        return "it shares files with `\(tree)`, which no agent may reach"
    }

    private static func touches(_ path: String, _ tree: String) -> Bool {
        contains(path, tree) || contains(tree, path)
    }

    /// Whether the inner path is the outer one or below it.
    static func contains(_ outer: String, _ inner: String) -> Bool {
        inner == outer || inner.hasPrefix(outer == "/" ? "/" : outer + "/")
    }
}
