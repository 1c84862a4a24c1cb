import CLinux
import Foundation

/// The second wall around a session's files, by Landlock: what the mounts leave writable is named once more.
///
/// It also closes what mounts cannot: a file that was handed in to be read is not opened anew to be written, and from
/// version 6 of Landlock on no signal and no abstract socket leads out of the session.
enum FileRules {
    /// The version of Landlock that this kernel has; 0 where it has none, or was booted without.
    static var version: Int32 { max(0, pt_landlock_version()) }

    /// The first version that also keeps signals and abstract sockets in.
    static let firstIsolating: Int32 = 6

    private static let reading = bits(PT_FILE_EXECUTE, PT_FILE_READ, PT_FILE_READ_DIRECTORY)
    private static let changing = bits(
        PT_FILE_WRITE, PT_FILE_REMOVE_DIRECTORY, PT_FILE_REMOVE, PT_FILE_MAKE_DIRECTORY, PT_FILE_MAKE_REGULAR,
        PT_FILE_MAKE_SOCKET, PT_FILE_MAKE_PIPE, PT_FILE_MAKE_LINK, PT_FILE_REFER, PT_FILE_TRUNCATE)
    private static let devices = bits(PT_FILE_MAKE_CHARACTER_DEVICE, PT_FILE_MAKE_BLOCK_DEVICE)
    private static let control = bits(PT_FILE_DEVICE_CONTROL)
    private static let writing = bits(PT_FILE_WRITE, PT_FILE_TRUNCATE)

    /// The rights that a version of Landlock knows: of the others it must hear nothing.
    static func known(to version: Int32) -> UInt64 {
        var rights = reading | changing | devices | control
        if version < 2 { rights &= ~bits(PT_FILE_REFER) }
        if version < 3 { rights &= ~bits(PT_FILE_TRUNCATE) }
        if version < 5 { rights &= ~control }
        return rights
    }

    /// The rules of a session whose root this process has entered, as a descriptor to take on; -1 without Landlock.
    ///
    /// All can be read, of which the mounts show little; the places can be changed; `/proc` has files of the
    /// session's own processes, and `/dev` its terminals. Of the standard streams each may be opened anew as it is.
    static func make(changing places: [String], streams: [Int32]) throws(SandboxError) -> Descriptor {
        let version = version
        guard version > 0 else { return Descriptor(owning: -1) }
        let known = known(to: version)
        let rules = Descriptor(
            owning: try kernel(
                pt_landlock_rules(known, version >= firstIsolating), .mounts,
                "cannot make Landlock's rules for the session"))
        try allow(reading & known, beneath: "/", rules)
        for place in places { try allow((reading | changing) & known, beneath: place, rules) }
        try allow((reading | writing) & known, beneath: "/proc", rules)
        try allow((reading | writing | control) & known, beneath: "/dev", rules)
        for stream in streams { try allow(stream, rules, known) }
        return rules
    }

    private static func allow(
        _ rights: UInt64, beneath path: String, _ rules: borrowing Descriptor
    ) throws(SandboxError) {
        let sentence = "cannot allow the session its `\(path)` by Landlock"
        let place = Descriptor(owning: try kernel(unsafe pt_open_place(path, true), .mounts, sentence))
        try kernel(pt_landlock_allow(rules.number, place.number, rights), .mounts, sentence)
    }

    private static func allow(_ stream: Int32, _ rules: borrowing Descriptor, _ known: UInt64) throws(SandboxError) {
        switch FileKind(descriptor: stream) {
        case .file, .characterDevice: break
        // Pipes and sockets are in no directory, and so under no rule.
        default: return
        }
        let rights: UInt64 =
            switch fcntl(stream, F_GETFL) & O_ACCMODE {
            case O_RDONLY: bits(PT_FILE_READ)
            case O_WRONLY: writing
            default: bits(PT_FILE_READ) | writing
            }
        let result = pt_landlock_allow(rules.number, stream, rights & known)
        // So it answers for memory without a name, which is under no rule either.
        guard result != -EBADFD else { return }
        try kernel(
            result, .descriptors,
            "cannot allow the session its standard stream \(stream) by Landlock")
    }

    private static func bits(_ rights: pt_file_right...) -> UInt64 { rights.reduce(0) { $0 | UInt64($1.rawValue) } }
}
