internal import CBpf
internal import CLinux
internal import Glibc

/// A directory of ours in a bpffs: what is pinned in it lives on without us.
///
/// Only root may look in (0700): whoever opens a table could write it. Names have no `.`, which bpffs forbids.
struct PinDirectory: Sendable {
    let path: String

    init(_ path: String) throws(DatapathError) {
        self.path = path
        let existing = Self.nearestExisting(path)
        guard try Self.isBPFFileSystem(existing) else {
            throw DatapathError("use `\(path)` for pins", because: "`\(existing)` is not on a BPF file system (bpffs)")
        }
        try Self.make(path)
        try Self.checkMode(path)
    }

    /// A directory to look into only: it is neither made nor checked, for the kernel opens nothing but pins in it.
    init(existing path: String) { self.path = path }

    func file(_ name: String) -> String { "\(path)/\(name)" }

    func open(_ name: String) throws(DatapathError) -> Descriptor? {
        let result = unsafe bpf_obj_get(file(name))
        if result == -ENOENT { return nil }
        return Descriptor(owning: try DatapathError.check(result, "open `\(file(name))`"))
    }

    func pin(_ object: borrowing Descriptor, as name: String) throws(DatapathError) {
        try DatapathError.check(unsafe bpf_obj_pin(object.raw, file(name)), "pin `\(file(name))`")
    }

    /// Pins in the place of what was there, without an instant in which neither is.
    func replace(_ name: String, with object: borrowing Descriptor) throws(DatapathError) {
        let temporary = "\(name)-new"
        try remove(temporary)
        try pin(object, as: temporary)
        guard unsafe rename(file(temporary), file(name)) == 0 else {
            throw DatapathError("put a new pin at `\(file(name))`", errno: errno)
        }
    }

    func remove(_ name: String) throws(DatapathError) {
        guard unsafe unlink(file(name)) == 0 || errno == ENOENT else {
            throw DatapathError("remove the pin `\(file(name))`", errno: errno)
        }
    }

    /// Removes these pins and the directory, if they are there.
    static func removeAll(_ names: [String], at path: String) throws(DatapathError) {
        for name in names.flatMap({ [$0, "\($0)-new"] }) {
            guard unsafe unlink("\(path)/\(name)") == 0 || errno == ENOENT else {
                throw DatapathError("remove the pin `\(path)/\(name)`", errno: errno)
            }
        }
        guard unsafe rmdir(path) == 0 || errno == ENOENT || errno == ENOTEMPTY else {
            throw DatapathError("remove the directory `\(path)`", errno: errno)
        }
    }

    private static func nearestExisting(_ path: String) -> String {
        var candidate = path
        while !candidate.isEmpty, unsafe access(candidate, F_OK) != 0, let slash = candidate.lastIndex(of: "/") {
            candidate = String(candidate[..<slash])
        }
        return candidate.isEmpty ? "/" : candidate
    }

    private static func isBPFFileSystem(_ path: String) throws(DatapathError) -> Bool {
        try DatapathError.check(unsafe pt_bpf_is_bpffs(path), "examine `\(path)`") == 1
    }

    private static func make(_ path: String) throws(DatapathError) {
        if unsafe access(path, F_OK) == 0 { return }
        if let slash = path.lastIndex(of: "/"), slash != path.startIndex { try make(String(path[..<slash])) }
        guard unsafe mkdir(path, 0o700) == 0 || errno == EEXIST else {
            throw DatapathError("make the directory `\(path)`", errno: errno)
        }
    }

    private static func checkMode(_ path: String) throws(DatapathError) {
        var information = stat()
        guard unsafe lstat(path, &information) == 0 else { throw DatapathError("examine `\(path)`", errno: errno) }
        guard information.st_mode & S_IFMT == S_IFDIR, information.st_mode & 0o777 == 0o700,
            information.st_uid == geteuid()
        else {
            throw DatapathError("use `\(path)` for pins", because: "it is not a directory of ours with mode 0700")
        }
    }
}
