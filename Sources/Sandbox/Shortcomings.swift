import CLinux
import Foundation

extension Enclosure {
    /// What of a session's walls this machine's kernel cannot give, each a sentence with what it means.
    ///
    /// None of it lets a session out; each is one wall behind another.
    package static func shortcomings() -> [String] {
        shortcomings(landlock: FileRules.version, controllers: (try? Cgroup.root().controllers) ?? [])
    }

    static func shortcomings(landlock: Int32, controllers: Set<String>) -> [String] {
        var sentences: [String] = []
        switch landlock {
        case ..<1:
            sentences.append(
                "this kernel has no Landlock (CONFIG_SECURITY_LANDLOCK, and `landlock` in `lsm=`): mounts alone hold a "
                    + "session's files, and a file given to it as standard input could be opened anew to be written")
        case ..<FileRules.firstIsolating:
            sentences.append(
                "this kernel's Landlock has version \(landlock): from \(FileRules.firstIsolating) on (Linux 6.12) it "
                    + "would also keep signals in, which namespaces do in any case")
        default: break
        }
        if !controllers.contains("memory") {
            sentences.append(
                "cgroup version 2 has no `memory` controller here: a session can use up the machine's memory")
        }
        if !controllers.contains("pids") {
            sentences.append(
                "cgroup version 2 has no `pids` controller here: each session's processes are bounded, but many "
                    + "sessions together can use up the machine's")
        }
        return sentences
    }
}
