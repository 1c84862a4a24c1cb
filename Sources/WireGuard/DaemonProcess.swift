internal import CLinux
internal import Glibc

/// A program in a session of its own that outlives us, known again by its process id, its start time and what
/// it executes: a process id alone may belong to anyone by the time it is used.
struct DaemonProcess: Equatable {
    let identifier: pid_t
    /// In clock ticks since boot (`/proc/PID/stat`, field 22).
    let startTime: UInt64

    init(identifier: pid_t, startTime: UInt64) { (self.identifier, self.startTime) = (identifier, startTime) }

    /// The process of this id if it lives and executes this program.
    init?(identifier: pid_t, program: String) {
        guard let status = ProcessStatus(of: identifier), !status.hasEnded, executes(identifier, program) else {
            return nil
        }
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

    /// Whether this very process still runs this program. Collects it if it is our child and has ended.
    func runs(_ program: String) -> Bool {
        guard let status = ProcessStatus(of: identifier), status.startTime == startTime else { return false }
        if status.hasEnded { waitpid(identifier, nil, WNOHANG) }
        return !status.hasEnded && executes(identifier, program)
    }

    /// Asks the process to end, insists after a while, and waits until it is gone; false if it stays.
    func end(_ program: String) -> Bool {
        for (signal, patience) in [(SIGTERM, Duration.seconds(1)), (SIGKILL, .seconds(1))] {
            guard send(signal, to: program) else { return true }
            if wait(upTo: patience, until: { !runs(program) }) { return true }
        }
        return false
    }
}

extension DaemonProcess {
    /// False when there is nobody to send to. Between the look and the signal the id cannot change hands,
    /// because the signal goes to the descriptor.
    private func send(_ signal: Int32, to program: String) -> Bool {
        let descriptor = pt_pidfd_open(identifier)
        guard descriptor >= 0 else { return runs(program) }
        defer { close(descriptor) }
        guard runs(program) else { return false }
        pt_pidfd_signal(descriptor, signal)
        return true
    }
}

/// Polls a condition that no event announces.
func wait(upTo limit: Duration, until condition: () -> Bool) -> Bool {
    let deadline = ContinuousClock.now + limit
    while !condition() {
        guard ContinuousClock.now < deadline else { return false }
        usleep(2000)
    }
    return true
}

/// What the system says of a process, living or not yet collected.
private struct ProcessStatus {
    let hasEnded: Bool
    let startTime: UInt64

    init?(of identifier: pid_t) {
        guard identifier > 1, let stat = try? readFile("/proc/\(identifier)/stat", limit: 4096) else { return nil }
        // The name of the program is in parentheses and may hold anything, so fields count from the last one.
        guard let end = stat.lastIndex(of: ")") else { return nil }
        let fields = stat[stat.index(after: end)...].split(separator: " ")
        guard fields.count > 19, let startTime = decimal(fields[19], as: UInt64.self) else { return nil }
        (hasEnded, self.startTime) = (fields[0] == "Z" || fields[0] == "X", startTime)
    }
}

private func executes(_ identifier: pid_t, _ program: String) -> Bool {
    guard let link = linkTarget("/proc/\(identifier)/exe") else { return false }
    let real = realPath(program) ?? program
    return link == real || link == real + " (deleted)"
}

extension DaemonProcess {
    /// Starts a program in a new session, with only its standard streams open and its words in the log.
    static func start(
        _ program: String, arguments: [String], environment: [String], log: String
    ) throws(SystemError) -> DaemonProcess {
        let child = try spawn(program, arguments, environment, log)
        // A process that has ended stays until it is collected, so its status can be read either way.
        guard let status = ProcessStatus(of: child) else { throw SystemError(errno: ESRCH) }
        return DaemonProcess(identifier: child, startTime: status.startTime)
    }
}

/// An error number of the system.
struct SystemError: Error, Equatable { let errno: Int32 }

/// `POSIX_SPAWN_SETSID` of glibc, which its module does not show.
private let newSession: Int32 = 0x80

/// Every descriptor of ours is close-on-exec, so only the standard streams pass.
private func spawn(
    _ program: String, _ arguments: [String], _ environment: [String], _ log: String
) throws(SystemError) -> pid_t {
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    unsafe posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0o600)
    unsafe posix_spawn_file_actions_adddup2(&actions, 1, 2)

    var attributes = posix_spawnattr_t()
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    var (none, all) = (sigset_t(), sigset_t())
    unsafe sigemptyset(&none)
    unsafe sigfillset(&all)
    unsafe posix_spawnattr_setsigmask(&attributes, &none)
    unsafe posix_spawnattr_setsigdefault(&attributes, &all)
    unsafe posix_spawnattr_setflags(
        &attributes, Int16(newSession | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

    var child: pid_t = 0
    let failure = unsafe withCStrings([program] + arguments) { argv in
        unsafe withCStrings(environment) { envp in
            unsafe posix_spawn(&child, program, &actions, &attributes, argv, envp)
        }
    }
    guard failure == 0 else { throw SystemError(errno: failure) }
    return child
}

/// The strings as C wants them: copies, ended by a null pointer, gone after the call.
private func withCStrings<Result>(
    _ strings: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
    var pointers: [UnsafeMutablePointer<CChar>?] = unsafe strings.map { unsafe strdup($0) } + [nil]
    defer { for index in unsafe pointers.indices { unsafe free(pointers[index]) } }
    return unsafe pointers.withUnsafeMutableBufferPointer { unsafe body($0.baseAddress!) }
}
