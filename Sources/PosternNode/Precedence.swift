import CLinux
import Foundation
import Glibc

/// Has the CPU for this daemon before it is anybody else's turn.
///
/// Whoever is to be cut off may keep every processor busy: a daemon that waits for its turn behind him would cut him off
/// late. Threads that are made later have precedence, too; programs that are started have none.
package enum Precedence {
    /// Why the kernel refuses it; nil when it is given.
    package static func take() -> String? {
        // Not the process: the kernel knows threads alone.
        let threads = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task")) ?? []
        for thread in threads.compactMap({ Int32($0) }) {
            let status = pt_precede(thread)
            // One that has ended in the meantime needs none.
            if status < 0, status != -ESRCH { return errorText(-status) }
        }
        return nil
    }

    /// The calling thread waits for its turn again.
    static func giveUp() { _ = pt_wait_in_turn() }
}
