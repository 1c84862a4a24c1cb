import CLinux
import Foundation

/// The file system that a session sees, made in the mount namespace of its PID 1.
///
/// The new root grows on top of `/proc`, because nothing below `/proc` is ever shown and so no source is covered.
/// Sources are opened first and mounted by descriptor: what was checked is what gets mounted.
struct SessionRoot {
    private static let stage = "/proc"
    private static let plain = PT_MOUNT_NO_SUID.rawValue | PT_MOUNT_NO_DEVICES.rawValue
    private static let readOnly = plain | PT_MOUNT_READ_ONLY.rawValue
    private static let inert = plain | PT_MOUNT_NO_EXECUTE.rawValue

    /// Of the machine's memory, for each of three file systems: all full, they leave it more than a third.
    private static let share = "size=20%"

    /// Where the agent may change files, with its working directory.
    static func writablePlaces(beside directory: String) -> [String] {
        [directory, EnclosureSpecification.home, "/tmp", "/dev/shm"]
    }

    private let specification: EnclosureSpecification
    private let hidden: [String]

    init(_ specification: EnclosureSpecification) {
        self.specification = specification
        hidden = Exposure.withTargets(specification.hiddenPaths)
    }

    /// Replaces the whole file system of this process; returns the working directory's canonical path.
    func build() throws(SandboxError) -> String {
        let directory = try openWorkingDirectory()
        let owners = try makeOwners()
        try kernel(pt_mounts_private(), .mounts, "cannot make the session's mounts its own")
        try fresh("tmpfs", "", Self.plain, "mode=0755,size=4m")
        try bindSystem()
        try makeEmptyDirectories()
        try makeDevices()
        try makeProc()
        try layOverEtc()
        try bindReadOnlyPaths(around: directory.path)
        try makeDirectory(directory.path)
        try bind(directory.place, directory.path, Self.plain, owners: owners)
        try bindReadOnlyPaths(within: directory.path, owners: owners)
        try enter()
        return directory.path
    }

    /// Opened with the agent's own rights, so that a path it could not reach outside is no gift inside.
    private func openWorkingDirectory() throws(SandboxError) -> WorkingDirectory {
        let wanted = specification.workingDirectory
        let place = Descriptor(
            owning: try kernel(
                unsafe pt_open_place_as(wanted, specification.uid, specification.gid), .directory,
                "cannot enter the working directory `\(wanted)` as uid \(specification.uid)"))
        guard FileKind(descriptor: place.number) == .directory,
            let path = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(place.number)")
        else { throw SandboxError(.directory, "the working directory `\(wanted)` is not a directory") }
        let holdsKeys = FileKind("/proc/self/fd/\(place.number)/.ssh") != nil
        let refusal =
            Exposure.refusal(ofWorkingDirectory: path, hidden: hidden)
            ?? Exposure.refusal(ofHome: path, homes: homes(), holdsKeys: holdsKeys)
        if let refusal {
            throw SandboxError(.directory, "`\(path)` cannot be an agent's working directory: \(refusal)")
        }
        return WorkingDirectory(place: place, path: path)
    }

    /// How the working directory shows its owner; none where the processes are the owner's.
    private func makeOwners() throws(SandboxError) -> Descriptor {
        guard let shown = specification.ownUID else { return Descriptor(owning: -1) }
        let number = pt_owners(specification.uid, shown, specification.gid, shown)
        return Descriptor(owning: try kernel(number, .directory, "cannot map the owner of the working directory"))
    }

    /// The home of the agent's user, as the machine has it; a user without an entry has none.
    private func homes() -> [String] {
        guard let entry = unsafe getpwuid(specification.uid), let home = unsafe entry.pointee.pw_dir else { return [] }
        return Exposure.withTargets([unsafe String(cString: home)])
    }

    private static let linkedTrees = ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"]
    /// What every session is shown.
    private static let systemTrees = ["/usr", "/etc"] + linkedTrees

    private func bindSystem() throws(SandboxError) {
        for path in ["/usr", "/etc"] { try show(path, Self.readOnly) }
        for path in Self.linkedTrees {
            switch FileKind(path) {
            case .directory: try show(path, Self.readOnly)
            case .link: try copyLink(path)
            default: continue
            }
        }
    }

    private func makeEmptyDirectories() throws(SandboxError) {
        for path in ["/home", "/mnt", "/opt", "/proc", "/root", "/srv", "/var"] { try makeDirectory(path) }
        try fresh("tmpfs", "/run", Self.inert, "mode=0755,size=4m")
        try fresh("tmpfs", "/tmp", Self.plain, "mode=1777,\(Self.share)")
        let owner = "mode=0700,uid=\(specification.processUID),gid=\(specification.processGID),\(Self.share)"
        try fresh("tmpfs", EnclosureSpecification.home, Self.plain, owner)
    }

    private func makeDevices() throws(SandboxError) {
        try fresh("tmpfs", "/dev", PT_MOUNT_NO_SUID.rawValue | PT_MOUNT_NO_EXECUTE.rawValue, "mode=0755,size=64k")
        for name in ["null", "zero", "full", "random", "urandom", "tty"] {
            try makeFile("/dev/" + name)
            try bind(open("/dev/" + name), "/dev/" + name, PT_MOUNT_NO_SUID.rawValue | PT_MOUNT_NO_EXECUTE.rawValue)
        }
        for path in specification.devices.sorted() { try makeDevice(path) }
        for (name, target) in [
            ("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1"),
            ("stderr", "/proc/self/fd/2"), ("ptmx", "pts/ptmx"),
        ] {
            try makeLink("/dev/" + name, to: target)
        }
        try fresh("tmpfs", "/dev/shm", Self.inert, "mode=1777,\(Self.share)")
        let pseudo = PT_MOUNT_NO_SUID.rawValue | PT_MOUNT_NO_EXECUTE.rawValue
        try fresh("devpts", "/dev/pts", pseudo, "newinstance,ptmxmode=0666,mode=0600")
        try restrict("/dev", PT_MOUNT_READ_ONLY.rawValue)
    }

    /// One that the agent's definition names.
    private func makeDevice(_ path: String) throws(SandboxError) {
        guard path.hasPrefix("/dev/") else {
            throw SandboxError(.mounts, "`\(path)` cannot be given to an agent: it is no device below `/dev`")
        }
        let device = try open(path, withLinks: false)
        if let refusal = DeviceRules.refusal(of: FileKind(descriptor: device.number), at: path) {
            throw SandboxError(.mounts, "`\(path)` cannot be given to an agent: \(refusal)")
        }
        try makeDirectory(Self.parent(of: path))
        try makeFile(path)
        try bind(device, path, PT_MOUNT_NO_SUID.rawValue | PT_MOUNT_NO_EXECUTE.rawValue)
    }

    /// A `/proc` of the session's own processes, whose settings cannot be written and whose secrets are empty.
    private func makeProc() throws(SandboxError) {
        try fresh("proc", "/proc", Self.inert, "")
        try ProcessNumbers.limit(to: Enclosure.mostProcesses, in: Self.stage + "/proc")
        for name in ["sys", "sysrq-trigger", "irq", "bus", "fs"] {
            let inside = Self.stage + "/proc/" + name
            guard FileKind(inside) != nil else { continue }
            try bind(open(inside), "/proc/" + name, Self.inert | PT_MOUNT_READ_ONLY.rawValue)
        }
        for name in ["kcore", "keys", "sched_debug", "timer_list"] where FileKind(Self.stage + "/proc/" + name) != nil {
            try bind(open(Self.stage + "/dev/null"), "/proc/" + name, Self.inert)
        }
    }

    private func layOverEtc() throws(SandboxError) {
        try layOver("/etc/hosts", HostsFile.text(specification))
        if let uid = specification.ownUID {
            try nameOwn("/etc/passwd", "agent:x:\(uid):\(uid)::\(EnclosureSpecification.home):/bin/sh\n")
            try nameOwn("/etc/group", "agent:x:\(uid):\n")
        }
        guard FileKind("/etc/resolv.conf") != nil else { return }
        try layOver("/etc/resolv.conf", "# The names of the mesh are in /etc/hosts.\n")
    }

    /// Many programs do not go on as a uid that has no name.
    private func nameOwn(_ table: String, _ line: String) throws(SandboxError) {
        guard let others = try? String(contentsOfFile: table, encoding: .utf8) else { return }
        try layOver(table, line + others)
    }

    /// The text is a file on the new root for as long as it takes to mount it over the target, and then has no name.
    private func layOver(_ target: String, _ text: String) throws(SandboxError) {
        let name = "/over"
        try makeFile(name)
        let path = Self.stage + name
        do { try text.write(toFile: path, atomically: false, encoding: .utf8) } catch {
            throw SandboxError(.mounts, "cannot write what is laid over `\(target)`")
        }
        try system(unsafe chmod(path, 0o644), .mounts, "cannot let the agent read `\(target)`")
        try bind(open(path), target, Self.readOnly)
        try system(unsafe unlink(path), .mounts, "cannot remove the name of what is laid over `\(target)`")
    }

    /// Parents come before what is below them, and show it.
    private func bindReadOnlyPaths(around directory: String) throws(SandboxError) {
        var shown = Self.systemTrees
        for path in specification.readOnlyPaths.sorted() where !Exposure.contains(directory, path) {
            let place = try openReadOnly(path)
            guard !shown.contains(where: { Exposure.contains($0, path) }) else { continue }
            shown.append(path)
            if FileKind(descriptor: place.number) == .directory {
                try makeDirectory(path)
            } else {
                try makeDirectory(Self.parent(of: path))
                try makeFile(path)
            }
            try bind(place, path, Self.readOnly)
        }
    }

    /// These stand where they are in the working directory; nothing is made in what is the caller's.
    ///
    /// Each directory on the way is a mount of its own: such a one cannot be renamed, and so the agent puts nothing
    /// of its own where the path leads.
    private func bindReadOnlyPaths(
        within directory: String, owners: borrowing Descriptor
    ) throws(SandboxError) {
        var shown: [String] = []
        var held: Set<String> = []
        for path in specification.readOnlyPaths.sorted() where Exposure.contains(directory, path) {
            let place = try openReadOnly(path)
            guard !shown.contains(where: { Exposure.contains($0, path) }) else { continue }
            shown.append(path)
            for step in Self.steps(from: directory, to: path) where held.insert(step).inserted {
                try bind(open(step, withLinks: false), step, Self.plain, owners: owners)
            }
            try bind(place, path, Self.readOnly)
        }
    }

    /// The directories between the two, from the outer one inwards.
    static func steps(from outer: String, to inner: String) -> [String] {
        let names = inner.dropFirst(outer.count).split(separator: "/").dropLast()
        return names.indices.map { outer + "/" + names[...$0].joined(separator: "/") }
    }

    private func openReadOnly(_ path: String) throws(SandboxError) -> Descriptor {
        if let refusal = Exposure.refusal(ofReadOnlyPath: path, hidden: hidden) {
            throw SandboxError(.mounts, "`\(path)` cannot be shown to an agent: \(refusal)")
        }
        return try open(path, withLinks: false)
    }

    /// The old root goes on top of the new one, and then away: no descriptor and no path leads there.
    private func enter() throws(SandboxError) {
        try restrict("", Self.readOnly)
        try system(unsafe chdir(Self.stage), .mounts, "cannot enter the session's root")
        try kernel(unsafe pt_pivot_root(".", "."), .mounts, "cannot make the session's root the root")
        try kernel(unsafe pt_unmount_tree("."), .mounts, "cannot let go of the machine's root")
        try system(unsafe chdir("/"), .mounts, "cannot enter the session's root")
    }
}

// MARK: One mount, one directory, one file

extension SessionRoot {
    private func show(_ path: String, _ flags: UInt32) throws(SandboxError) {
        let place = try open(path)
        try makeDirectory(path)
        try bind(place, path, flags)
    }

    private func open(_ path: String, withLinks: Bool = true) throws(SandboxError) -> Descriptor {
        let number = unsafe pt_open_place(path, withLinks)
        guard number != -ELOOP || withLinks else {
            throw SandboxError(
                .mounts, "cannot show `\(path)` to the session: a link stands in it; name the path that it leads to")
        }
        return Descriptor(owning: try kernel(number, .mounts, "cannot show `\(path)` to the session"))
    }

    private func bind(_ place: borrowing Descriptor, _ target: String, _ flags: UInt32) throws(SandboxError) {
        try kernel(unsafe pt_bind(place.number, Self.stage + target, flags), .mounts, "cannot mount on `\(target)`")
    }

    private func bind(
        _ place: borrowing Descriptor, _ target: String, _ flags: UInt32, owners: borrowing Descriptor
    ) throws(SandboxError) {
        let result = unsafe pt_bind_owned(place.number, Self.stage + target, flags, owners.number)
        guard result != -EINVAL || owners.number < 0 else {
            throw SandboxError(
                .directory,
                "`\(target)` cannot be shown to a uid of the session's own: its file system, or one mounted below it, "
                    + "does not map owners")
        }
        try kernel(result, .mounts, "cannot mount on `\(target)`")
    }

    private func fresh(_ type: String, _ target: String, _ flags: UInt32, _ options: String) throws(SandboxError) {
        if !target.isEmpty { try makeDirectory(target) }
        try kernel(
            unsafe pt_mount_new(type, Self.stage + target, flags, options), .mounts,
            "cannot mount a fresh \(type) on `\(target.isEmpty ? "/" : target)`")
    }

    private func restrict(_ target: String, _ flags: UInt32) throws(SandboxError) {
        try kernel(
            unsafe pt_mount_restrict(Self.stage + target, flags), .mounts,
            "cannot make `\(target.isEmpty ? "/" : target)` read-only")
    }

    private func makeDirectory(_ path: String) throws(SandboxError) {
        guard unsafe mkdir(Self.stage + path, 0o755) != 0, errno != EEXIST else { return }
        guard errno == ENOENT, path != "/" else {
            throw SandboxError(.mounts, "cannot make the directory `\(path)`: \(errorText(errno))")
        }
        try makeDirectory(Self.parent(of: path))
        try system(unsafe mkdir(Self.stage + path, 0o755), .mounts, "cannot make the directory `\(path)`")
    }

    private func makeFile(_ path: String) throws(SandboxError) {
        let number = unsafe Foundation.open(Self.stage + path, O_CREAT | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0o644)
        _ = Descriptor(owning: try system(number, .mounts, "cannot make the file `\(path)`"))
    }

    private func makeLink(_ path: String, to target: String) throws(SandboxError) {
        try system(unsafe symlink(target, Self.stage + path), .mounts, "cannot make the link `\(path)`")
    }

    private func copyLink(_ path: String) throws(SandboxError) {
        guard let target = try? FileManager.default.destinationOfSymbolicLink(atPath: path) else {
            throw SandboxError(.mounts, "cannot read the link `\(path)`")
        }
        try makeLink(path, to: target)
    }

    private static func parent(of path: String) -> String {
        let parent = path[..<(path.lastIndex(of: "/") ?? path.startIndex)]
        return parent.isEmpty ? "/" : String(parent)
    }
}

/// The caller's directory: the place itself, and its canonical path.
private struct WorkingDirectory: ~Copyable {
    let place: Descriptor
    let path: String
}

/// The `/etc/hosts` of a session.
enum HostsFile {
    static func text(_ specification: EnclosureSpecification) -> String {
        let fixed = [
            HostsEntry(address: "127.0.0.1", names: ["localhost", specification.hostName]),
            HostsEntry(address: "::1", names: ["localhost", "ip6-localhost", "ip6-loopback"]),
        ]
        return (fixed + specification.hosts)
            .map { "\($0.address)\t\($0.names.joined(separator: " "))\n" }.joined()
    }
}
