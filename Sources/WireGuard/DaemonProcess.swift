internal import Glibc

/// A program in a session of its own that outlives us, known again by its process id, its start time and what
/// it executes: a process id alone may belong to anyone by the time it is used.
///
/// What throws could not look, and says nothing of the process.
struct DaemonProcess: Equatable {
    let identifier: pid_t
    /// In clock ticks since boot (`/proc/PID/stat`, field 22).
    let startTime: UInt64

    init(identifier: pid_t, startTime: UInt64) { (self.identifier, self.startTime) = (identifier, startTime) }

    /// The process of this id if it lives and executes this program.
    init?(identifier: pid_t, program: String) throws(SystemError) {
        guard try executes(identifier, program) == true, let status = try ProcessStatus(of: identifier),
            !status.hasEnded
        else { return nil }
        self.init(identifier: identifier, startTime: status.startTime)
    }

    /// The text of a file that `record` made: process id and start time.
    init?(record: String) {
        let fields = record.split(whereSeparator: { $0 == " " || $0 == "\n" })
        guard fields.count == 2, let identifier = decimal(fields[0], as: pid_t.self), identifier > 1,
            let startTime = decimal(fields[1], as: UInt64.self)
        else { return nil }
        self.init(identifier: identifier, startTime: startTime)
    }

    var record: String { "\(identifier) \(startTime)\n" }

    /// Whether this very process still runs this program.
    func runs(_ program: String) throws(SystemError) -> Bool { try condition(program) == .running }

    /// Asks the process to end, insists after a while, and waits until it is gone; false if it stays.
    func end(_ program: String) throws(SystemError) -> Bool {
        guard let handle = try ProcessHandle(identifier) else { return true }
        // Whoever has the id now is whom the handle holds: signals cannot reach anybody else.
        switch try condition(program) {
        case .gone: return true
        case .ending: break
        case .running: handle.send(SIGTERM)
        }
        if !handle.isGone(within: .seconds(1)) {
            handle.send(SIGKILL)
            guard handle.isGone(within: .seconds(1)) else { return false }
        }
        handle.collect()
        return true
    }

    /// Collects the process if it is a child of ours that has ended: nobody else can.
    func collect(_ program: String) throws(SystemError) {
        guard let handle = try ProcessHandle(identifier), try condition(program) == .ending else { return }
        handle.collect()
    }
}

extension DaemonProcess {
    private enum Condition {
        case running
        /// Its last thread may be on its way out yet, or it is not collected.
        case ending
        /// Nobody has its id, or somebody else does.
        case gone
    }

    private func condition(_ program: String) throws(SystemError) -> Condition {
        // In this order: what ends in between shows in the status, and is not taken for another program.
        let executing = try executes(identifier, program)
        guard let status = try ProcessStatus(of: identifier), status.startTime == startTime else { return .gone }
        guard let executing, !status.hasEnded else { return .ending }
        return executing ? .running : .gone
    }
}

/// What the system says of a process, living or not yet collected.
struct ProcessStatus {
    /// Its first thread has; the others may follow a little later.
    let hasEnded: Bool
    let startTime: UInt64

    /// Nil when there is no such process.
    init?(of identifier: pid_t) throws(SystemError) {
        guard identifier > 1, let stat = try readOfProcess("/proc/\(identifier)/stat") else { return nil }
        // The name of the program is in parentheses and may hold anything, so fields count from the last one.
        let fields = stat[(stat.lastIndex(of: ")") ?? stat.startIndex)...].split(separator: " ")
        guard fields.count > 20, let startTime = decimal(fields[20], as: UInt64.self) else {
            throw SystemError(errno: EBADMSG)
        }
        (hasEnded, self.startTime) = (fields[1] == "Z" || fields[1] == "X", startTime)
    }
}

private func readOfProcess(_ path: String) throws(SystemError) -> String? {
    do throws(SystemError) {
        return try readFile(path, limit: 4096)
    } catch {
        // ESRCH when the process goes between opening and reading.
        guard error.errno == ENOENT || error.errno == ESRCH else { throw error }
        return nil
    }
}

/// Nil when the process is not there, or has none: it is ending, or a thread of the kernel.
func executes(_ identifier: pid_t, _ program: String) throws(SystemError) -> Bool? {
    guard let link = try linkTarget("/proc/\(identifier)/exe") else { return nil }
    let real = try realPath(program) ?? program
    return link == real || link == real + " (deleted)"
}
