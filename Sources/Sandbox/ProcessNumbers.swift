import Foundation

/// The numbers that processes of a pid namespace get, and so how many there can be at once.
///
/// From Linux 6.14 on each namespace has a `kernel.pid_max` of its own. Before, the one setting is the machine's.
enum ProcessNumbers {
    static var areTheNamespaces: Bool {
        var name = utsname()
        guard unsafe uname(&name) == 0 else { return false }
        let release = unsafe withUnsafeBytes(of: &name.release) { unsafe String(decoding: $0, as: UTF8.self) }
        return areTheNamespaces(inRelease: release)
    }

    static func areTheNamespaces(inRelease release: String) -> Bool {
        let numbers = release.split(maxSplits: 2, whereSeparator: { !$0.isNumber }).prefix(2).compactMap { Int($0) }
        return numbers.count == 2 && (numbers[0], numbers[1]) >= (6, 14)
    }

    /// Bounds them in the caller's pid namespace, of which `proc` is mounted at a path; elsewhere nothing happens.
    static func limit(to count: Int, in proc: String) throws(SandboxError) {
        guard areTheNamespaces else { return }
        let path = proc + "/sys/kernel/pid_max"
        let file = Descriptor(owning: unsafe open(path, O_WRONLY | O_CLOEXEC))
        let text = "\(count)"
        let written = file.number < 0 ? -1 : unsafe write(file.number, text, text.utf8.count)
        try system(Int32(written), .mounts, "cannot bound the number of the session's processes")
    }
}
