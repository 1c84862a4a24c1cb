import CLinux
import Foundation

/// Starts `postern-session` as PID 1 of new pid, mount, ipc, uts and cgroup namespaces.
package enum Enclosure {
    private static let namespaces =
        PT_CLONE_NEWPID | PT_CLONE_NEWNS | PT_CLONE_NEWIPC | PT_CLONE_NEWUTS | PT_CLONE_NEWCGROUP
    /// More than any build or test run has, and far fewer than the machine's.
    package static let mostProcesses = 4096

    /// Starts the session up to its mounts; the command waits for `EnclosureCommand.go`.
    ///
    /// `network` is a descriptor of the agent's network namespace, never the caller's own. `cgroup` is where the
    /// session's processes are put, held to `bounds`. `stdio` are three open descriptors, which stay the caller's to
    /// close. Only with a `rendezvous` can another daemon find the session again.
    /// Blocks for a few milliseconds: until the program has been executed.
    package static func start(
        _ specification: EnclosureSpecification, network: Int32, cgroup: Cgroup?, bounds: CgroupBounds,
        stdio: [Int32], program: String, rendezvous: Rendezvous? = nil
    ) throws(SandboxError) -> EnclosureProcess {
        let bytes = try specification.encoded()
        return try EnclosureProcess(
            try launch(
                bytes, network: network, cgroup: cgroup, bounds: bounds, stdio: stdio, program: program,
                rendezvous: rendezvous))
    }

    static func launch(
        _ bytes: [UInt8], network: Int32, cgroup: Cgroup?, bounds: CgroupBounds, stdio: [Int32], program: String,
        rendezvous: Rendezvous? = nil
    ) throws(SandboxError) -> StartedSession {
        try checkStdio(stdio)
        try checkNetwork(network)
        let specification = try memoryFile(bytes)
        let processes = try openProcesses(of: cgroup)
        // Where its processes are not counted by its cgroup, they must be counted otherwise.
        let areCounted = try cgroup?.hold(to: bounds) ?? false
        var pair: [Int32] = [-1, -1]
        try kernel(unsafe pt_unix_pair(&pair), .control, "cannot make the session's control socket")
        let ours = Descriptor(owning: pair[0])
        let theirs = Descriptor(owning: pair[1])
        let listener = try rendezvous?.listen() ?? Descriptor(owning: -1)
        let ending = try rendezvous?.makeEnding() ?? Descriptor(owning: -1)
        let found = rendezvous == nil ? [] : [listener.number, ending.number]
        let session = Program(
            path: program, arguments: ["postern-session"], environment: [:], directory: "/",
            descriptors: stdio + [specification.number, theirs.number] + found, newNamespaces: namespaces,
            network: network, cgroupProcesses: processes.number,
            processLimit: areCounted || ProcessNumbers.areTheNamespaces ? nil : UInt32(mostProcesses))
        do {
            let (pid, pidfd) = try session.start()
            return StartedSession(pid: pid, pidfd: Descriptor(owning: pidfd), control: ours)
        } catch {
            throw error.error(starting: program)
        }
    }

    /// A session in the host's network would be no session: the one mistake that must never pass.
    private static func checkNetwork(_ network: Int32) throws(SandboxError) {
        var (given, own) = (stat(), stat())
        try system(unsafe fstat(network, &given), .network, "cannot read the session's network namespace")
        try system(unsafe stat("/proc/thread-self/ns/net", &own), .network, "cannot read our own network namespace")
        guard (given.st_dev, given.st_ino) != (own.st_dev, own.st_ino) else {
            throw SandboxError(.network, "a session needs a network namespace of its own, and was given the daemon's")
        }
    }

    private static func memoryFile(_ bytes: [UInt8]) throws(SandboxError) -> Descriptor {
        let number = unsafe bytes.withUnsafeBytes { unsafe pt_memory_file($0.baseAddress, $0.count) }
        return Descriptor(
            owning: try kernel(number, .spawn, "cannot hold the session's specification in memory"))
    }

    private static func openProcesses(of cgroup: Cgroup?) throws(SandboxError) -> Descriptor {
        guard let cgroup else { return Descriptor(owning: -1) }
        let number = unsafe open(cgroup.path + "/cgroup.procs", O_WRONLY | O_CLOEXEC)
        return Descriptor(owning: try system(number, .cgroup, "cannot open the cgroup `\(cgroup.path)`"))
    }
}
