internal import CLinux
internal import Glibc

extension DaemonProcess {
    /// Starts a program in a new session, with only its standard streams open and its words in the log.
    static func start(
        _ program: String, arguments: [String], environment: [String], log: String
    ) throws(SystemError) -> DaemonProcess {
        let child = try spawn(program, arguments, environment, log)
        do throws(SystemError) {
            // The kernel wakes us a moment before the child is the program: until then it executes what we do.
            _ = try wait(upTo: .seconds(2)) { () throws(SystemError) in try executes(child, program) != false }
            // A process that has ended stays until it is collected, so its status can be read either way.
            guard let status = try ProcessStatus(of: child) else { throw SystemError(errno: ESRCH) }
            return DaemonProcess(identifier: child, startTime: status.startTime)
        } catch {
            // Nobody could find it again. The id of a child that is not collected is its own.
            kill(child, SIGKILL)
            waitpid(child, nil, 0)
            throw error
        }
    }
}

/// `POSIX_SPAWN_SETSID` of glibc, which its module does not show.
private let newSession: Int32 = 0x80

/// Only the standard streams pass: what the shell or another library left open in us stays with us.
private func spawn(
    _ program: String, _ arguments: [String], _ environment: [String], _ log: String
) throws(SystemError) -> pid_t {
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    unsafe posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0o600)
    unsafe posix_spawn_file_actions_adddup2(&actions, 1, 2)
    let limited = unsafe pt_file_actions_close_from(&actions, 3)
    guard limited == 0 else { throw SystemError(errno: -limited) }

    var attributes = posix_spawnattr_t()
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    var (none, all) = (sigset_t(), sigset_t())
    unsafe sigemptyset(&none)
    unsafe sigfillset(&all)
    unsafe posix_spawnattr_setsigmask(&attributes, &none)
    unsafe posix_spawnattr_setsigdefault(&attributes, &all)
    // Whatever precedes others here, what carries packets waits for its turn.
    var turn = sched_param()
    turn.sched_priority = 0
    unsafe posix_spawnattr_setschedpolicy(&attributes, SCHED_OTHER)
    unsafe posix_spawnattr_setschedparam(&attributes, &turn)
    unsafe posix_spawnattr_setflags(
        &attributes,
        Int16(newSession | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSCHEDULER))

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
