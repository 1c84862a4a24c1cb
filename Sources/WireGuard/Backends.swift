internal import Glibc

/// Which way of having WireGuard devices this machine offers.
package enum Backends {
    /// The one that was asked for, or else the kernel's where there is one. While devices of an earlier run live in
    /// user space, and nobody asks for another, they are kept: their sessions go on.
    ///
    /// What the other backend has left is deleted. The directory must exist, and be ours alone.
    package static func choose(
        override wanted: BackendKind? = nil, directory: String, program: String = "/usr/bin/wireguard-go"
    ) throws(BackendError) -> any WireGuardBackend {
        let obstacles = Obstacles(kernel: kernelObstacle(), userspace: userspaceObstacle(program))
        let kernel = KernelBackend(directory: directory)
        let userspace = UserspaceBackend(directory: directory, program: program)
        let isInUse = try during { () throws(WireGuardError) in try userspace.hasLivingDevices() }
        let chosen = try decide(wanted, obstacles, hasLivingDevices: isInUse)
        let (backend, other): (any WireGuardBackend, any WireGuardBackend) =
            chosen == .kernel ? (kernel, userspace) : (userspace, kernel)
        try during { () throws(WireGuardError) in
            for device in try other.devices() { try other.delete(device) }
        }
        return backend
    }

    private static func during<Result>(
        _ body: () throws(WireGuardError) -> Result
    ) throws(BackendError) -> Result {
        do throws(WireGuardError) { return try body() } catch { throw BackendError("\(error)") }
    }

    /// Why a backend cannot serve; nil when it can.
    struct Obstacles: Equatable {
        var kernel: String?
        var userspace: String?
    }

    static func decide(
        _ wanted: BackendKind?, _ obstacles: Obstacles, hasLivingDevices: Bool
    ) throws(BackendError) -> BackendKind {
        switch (wanted, obstacles.kernel, obstacles.userspace) {
        case (.kernel, let obstacle?, _), (.userspace, _, let obstacle?): throw BackendError(obstacle)
        case (let wanted?, _, _): return wanted
        case (nil, _, nil) where hasLivingDevices: return .userspace
        case (nil, nil, _): return .kernel
        case (nil, _, nil): return .userspace
        case (nil, let kernel?, let userspace?): throw BackendError("\(kernel); and \(userspace)")
        }
    }

    /// Asks the kernel itself, by a device in a namespace of its own that goes at once: a list of modules says
    /// neither what is built in nor what may be loaded.
    static func kernelObstacle() -> String? {
        guard let device = DeviceName("pt-probe") else { preconditionFailure("this is a device name") }
        do throws(LinkError) {
            let namespace = try NetworkNamespace.create()
            let links = try Links(in: namespace)
            try links.create(device, kind: KernelBackend.linkKind, mtu: 1420)
            try links.delete(device)
            return nil
        } catch {
            guard error.errno == EOPNOTSUPP else { return "the kernel made no WireGuard device: \(error)" }
            return "the kernel has no WireGuard: load its module with `modprobe wireguard`, or choose `userspace`"
        }
    }

    static func userspaceObstacle(_ program: String) -> String? {
        if unsafe access(program, X_OK) != 0 {
            return "`\(program)` cannot be run: \(describe(errno: errno)): install the package wireguard-go, "
                + "or choose `kernel`"
        }
        let tunnel = unsafe open("/dev/net/tun", O_RDWR | O_CLOEXEC)
        guard tunnel < 0 else {
            close(tunnel)
            return nil
        }
        return "`/dev/net/tun` cannot be opened: \(describe(errno: errno)): load its module with `modprobe tun`, "
            + "or choose `kernel`"
    }
}

extension UserspaceBackend {
    fileprivate func hasLivingDevices() throws(WireGuardError) -> Bool {
        for device in try devices() where try exists(device) { return true }
        return false
    }
}

/// Why this machine cannot have WireGuard devices, and what to do.
package struct BackendError: Error, Equatable, Sendable, CustomStringConvertible {
    private let obstacle: String
    init(_ obstacle: String) { self.obstacle = obstacle }
    package var description: String { "cannot have WireGuard devices: \(obstacle)" }
}
