import CLinux

/// One program to start by `pt_spawn`, with everything that it shall not inherit taken away.
struct Program {
    var path: String
    var arguments: [String]
    var environment: [String: String]
    var directory: String
    /// Become descriptors 0, 1, 2, …
    var descriptors: [Int32]
    var newNamespaces: Int32 = 0
    var network: Int32 = -1
    var cgroupProcesses: Int32 = -1
    /// How many processes its user may have, on the whole machine.
    var processLimit: UInt32?
    /// Whether descriptor 0 becomes its controlling terminal.
    var takesTerminal = false
    /// What it is held to; nil stays what the caller is.
    var confinement: Confinement?

    /// An agent's identity, with no capability, no way to any, and the filter of system calls.
    struct Confinement {
        var uid: UInt32
        var gid: UInt32
        /// As uid 0 of a user namespace in which nobody else is.
        var asRoot = false
        var userNamespaces = false
        /// A descriptor of Landlock's rules; -1 where there are none.
        var files: Int32 = -1
    }

    /// Why a start failed, with the error number that the kernel gave.
    struct Failure: Error {
        let step: pt_spawn_step
        let number: Int32
    }

    /// Returns when the program has been executed.
    func start() throws(Failure) -> (pid: Int32, pidfd: Int32) {
        var result = pt_spawn_result()
        let code = unsafe withCStrings(arguments) { argv in
            unsafe withCStrings(environment.map { "\($0.key)=\($0.value)" }) { envp in
                unsafe spawn(argv, envp, &result)
            }
        }
        guard code == 0 else { throw Failure(step: result.failed, number: -code) }
        return (result.pid, result.pidfd)
    }

    private func spawn(
        _ argv: UnsafePointer<UnsafeMutablePointer<CChar>?>, _ envp: UnsafePointer<UnsafeMutablePointer<CChar>?>,
        _ result: inout pt_spawn_result
    ) -> Int32 {
        unsafe path.withCString { path in
            unsafe directory.withCString { directory in
                unsafe descriptors.withUnsafeBufferPointer { numbers in
                    var request = unsafe pt_spawn_request()
                    unsafe request.path = path
                    unsafe request.argv = argv
                    unsafe request.envp = envp
                    unsafe request.directory = directory
                    unsafe request.clone_flags = UInt64(UInt32(bitPattern: newNamespaces & ~PT_CLONE_NEWCGROUP))
                    unsafe request.unshare_flags = UInt64(UInt32(bitPattern: newNamespaces & PT_CLONE_NEWCGROUP))
                    unsafe request.netns_fd = network
                    unsafe request.cgroup_fd = cgroupProcesses
                    unsafe request.descriptors = numbers.baseAddress
                    unsafe request.descriptor_count = numbers.count
                    unsafe request.new_session = true
                    unsafe request.no_core = true
                    unsafe request.take_terminal = takesTerminal
                    unsafe request.process_limit = processLimit ?? 0
                    unsafe restrict(&request)
                    return unsafe pt_spawn(&request, &result)
                }
            }
        }
    }

    private func restrict(_ request: inout pt_spawn_request) {
        guard let confinement else { return }
        unsafe request.set_identity = true
        unsafe (request.uid, request.gid) = (confinement.uid, confinement.gid)
        unsafe request.as_root = confinement.asRoot
        unsafe request.drop_capabilities = true
        unsafe request.no_new_privileges = true
        unsafe (request.limit_files, request.files_fd) = (confinement.files >= 0, confinement.files)
        unsafe request.user_namespaces = confinement.userNamespaces
        unsafe request.filter_system_calls = true
    }
}

extension Program.Failure {
    /// The failure as a sentence about the program with this name.
    func error(starting name: String) -> SandboxError {
        let (step, what): (SandboxError.Step, String) =
            switch step {
            case PT_SPAWN_NETWORK: (.network, "cannot enter the session's network namespace")
            case PT_SPAWN_CGROUP: (.cgroup, "cannot enter the session's cgroup")
            case PT_SPAWN_DESCRIPTORS: (.descriptors, "cannot hand its descriptors to `\(name)`")
            case PT_SPAWN_CAPABILITIES: (.identity, "cannot drop the capabilities of `\(name)`")
            case PT_SPAWN_IDENTITY: (.identity, "cannot take the agent's uid and gid")
            case PT_SPAWN_USERS:
                (
                    .identity,
                    "cannot make the user namespace in which `\(name)` is root (see user.max_user_namespaces); run it "
                        + "as an ordinary user"
                )
            case PT_SPAWN_FILES: (.mounts, "cannot limit the files of `\(name)` by Landlock")
            case PT_SPAWN_DIRECTORY: (.directory, "cannot enter the working directory of `\(name)`")
            case PT_SPAWN_FILTER: (.spawn, "cannot limit the system calls of `\(name)`")
            case PT_SPAWN_EXECUTE: (.command, "cannot run `\(name)`")
            default: (.spawn, "cannot start `\(name)`")
            }
        return SandboxError(step, "\(what): \(errorText(number))")
    }
}
