import CLinux
import Foundation
import Mesh

/// The whole of `postern-session`: PID 1 of one session's namespaces.
///
/// Descriptor 3 holds the specification, descriptor 4 is the control socket; 0, 1 and 2 are the command's. If they
/// are there, 5 is the socket where another daemon connects, and 6 the file that is told how the session ended.
/// Single-threaded by design: no Swift concurrency, no Dispatch.
package struct SessionProgram {
    private static let specificationDescriptor: Int32 = 3
    private static let controlDescriptor: Int32 = 4
    private static let listenerDescriptor: Int32 = 5
    private static let endingDescriptor: Int32 = 6
    /// The enclosure failed; the command did not run, or was not left to run unprotected.
    private static let failureStatus: Int32 = 125

    private let specification: EnclosureSpecification
    private let directory: String
    private let signals: Int32
    private let timer: Int32
    private let listener: Int32?
    private let ending: Int32?
    private var control: Int32? = Self.controlDescriptor
    /// What the daemon wants kept: while they are open, the programs at the session's device stay, whatever becomes of
    /// their pins.
    private var held: [Int32] = []
    private var lifecycle: SessionLifecycle
    private var commandID: Int32 = 0

    /// Runs to the end of the session and returns the status to exit with.
    package static func main(_ arguments: [String]) -> Int32 {
        if let (text, status) = answerByHand(arguments.dropFirst().first) {
            let stream = status == 0 ? FileHandle.standardOutput : .standardError
            try? stream.write(contentsOf: Data(text.utf8))
            return status
        }
        do {
            var session = try SessionProgram()
            session.report(.ready)
            return session.run()
        } catch {
            _ = ControlSocket.send(EnclosureReport.failed(error).text, to: controlDescriptor)
            return failureStatus
        }
    }

    /// What a person is told who runs the program; nil when it was started as the first process of a session.
    private static func answerByHand(_ argument: String?) -> (text: String, status: Int32)? {
        if argument == "--version" { return ("postern-session 0.1.0\n", 0) }
        guard argument != nil || getpid() != 1 || FileKind(descriptor: controlDescriptor) != .socket else { return nil }
        let text = """
            postern-session is the first process of an agent's session: it makes the session's file system, runs one
            command in it and passes on how that ended. posternd starts it; to run an agent use `postern run`.

            """
        return (text, argument == "--help" ? 0 : 64)
    }

    private func report(_ report: EnclosureReport) {
        if let control { _ = ControlSocket.send(report.text, to: control) }
    }

    /// Says how it ended to whoever listens, and to whoever comes later.
    private func reportEnd(_ report: EnclosureReport) {
        if let ending { unsafe pwrite(ending, report.text, report.text.utf8.count, 0) }
        self.report(report)
    }

    private init() throws(SandboxError) {
        // Before anything else is opened, which would take the free numbers.
        listener = pt_socket_listens(Self.listenerDescriptor) == 1 ? Self.listenerDescriptor : nil
        ending = FileKind(descriptor: Self.endingDescriptor) == .file ? Self.endingDescriptor : nil
        guard let bytes = readAll(Self.specificationDescriptor, limit: EnclosureSpecification.maximumLength) else {
            throw SandboxError(.specification, "the session's specification cannot be read: \(errorText(errno))")
        }
        close(Self.specificationDescriptor)
        specification = try .decoded(bytes)
        lifecycle = SessionLifecycle(outlivesLease: specification.outlivesLease)
        try Enclosure.checkStdio([0, 1, 2])
        umask(0o022)
        timer = try kernel(pt_boot_timer(), .spawn, "cannot make the session's timer")
        try Self.arm(timer, specification.timeToLive)
        signals = try kernel(pt_signal_reader(), .spawn, "cannot read the session's signals")
        let name = specification.hostName
        try kernel(unsafe pt_set_host_name(name, name.utf8.count), .spawn, "cannot name the session's host `\(name)`")
        directory = try SessionRoot(specification).build()
        if let size = specification.terminal {
            try SessionTerminal.replaceStreams(size: size, uid: specification.processUID, gid: specification.processGID)
        }
        try kernel(pt_seal_process(), .identity, "cannot seal the session's first process")
    }

    private static func arm(_ timer: Int32, _ span: Duration) throws(SandboxError) {
        // Zero would disarm it.
        try kernel(pt_boot_timer_set(timer, max(1, span.milliseconds)), .spawn, "cannot set the session's timer")
    }
}

// MARK: Waiting

extension SessionProgram {
    private mutating func run() -> Int32 {
        while true {
            for event in nextEvents() {
                if let status = perform(lifecycle.handle(event)) { return status }
            }
        }
    }

    private mutating func nextEvents() -> [SessionLifecycle.Event] {
        var waiting = [signals, timer, control ?? -1, listener ?? -1].map {
            pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
        }
        let count = unsafe poll(&waiting, nfds_t(waiting.count), -1)
        guard count > 0 else { return [] }
        var events: [SessionLifecycle.Event] = []
        if waiting[0].revents != 0 { events += signalEvents() }
        if waiting[1].revents != 0 { events.append(.deadline) }
        if waiting[2].revents != 0, let control { events += controlEvents(control) }
        if waiting[3].revents != 0, let listener, lifecycle.state == .running, welcome(at: listener) {
            // That the one before has gone says nothing of the one that is there.
            events.removeAll { $0 == .controlClosed }
        }
        return events
    }

    /// A daemon that connects takes the place of the one before; it hears that the command runs.
    private mutating func welcome(at listener: Int32) -> Bool {
        let connection = accept(listener, nil, nil)
        guard connection >= 0 else { return false }
        var peer = pt_peer()
        guard unsafe pt_unix_peer(connection, &peer) >= 0, peer.uid == 0,
            fcntl(connection, F_SETFD, FD_CLOEXEC) == 0, fcntl(connection, F_SETFL, O_NONBLOCK) == 0
        else {
            close(connection)
            return false
        }
        if let control { close(control) }
        control = connection
        report(.started(pid: commandID))
        return true
    }

    private func signalEvents() -> [SessionLifecycle.Event] {
        var events: [SessionLifecycle.Event] = []
        while case let signal = pt_signal_read(signals), signal > 0 {
            if EnclosureCommand.forwarded.contains(signal) { events.append(.signal(signal)) }
        }
        return events + reapedCommand()
    }

    /// Reaps every child that has ended, orphans that fell to PID 1 too; tells of the command alone.
    private func reapedCommand() -> [SessionLifecycle.Event] {
        var events: [SessionLifecycle.Event] = []
        var ending = pt_ending()
        while unsafe pt_reap_any(&ending) == 0, ending.pid != 0 {
            if ending.pid == commandID { events.append(.commandEnded(EnclosureExit(ending))) }
        }
        return events
    }

    private mutating func controlEvents(_ control: Int32) -> [SessionLifecycle.Event] {
        var came: [Int32] = []
        switch ControlSocket.receive(from: control, with: &came, atMost: EnclosureCommand.mostDescriptors) {
        case .text(let text):
            let command = EnclosureCommand(text)
            // Those before are let go only when these are here.
            if command == .hold { swap(&held, &came) }
            for descriptor in came { close(descriptor) }
            return [command.map { .command($0) } ?? .nonsense]
        case .nothing: return []
        case .closed: return [.controlClosed]
        }
    }
}

// MARK: Acting

extension SessionProgram {
    /// The status to exit with, once there is one.
    private mutating func perform(_ action: SessionLifecycle.Action) -> Int32? {
        switch action {
        case .nothing: break
        case .start: return start()
        case .forward(let signal): kill(-commandID, signal)
        case .setDeadline(let span):
            guard (try? Self.arm(timer, span)) != nil else { return Self.failureStatus }
        case .lapse:
            // A timer that has rung stays readable until it is set again.
            guard pt_boot_timer_set(timer, 0) >= 0 else { return Self.failureStatus }
            report(.lapsed)
        case .stopListening:
            if let control { close(control) }
            control = nil
        case .finish(let report, let status):
            reportEnd(report)
            return status
        }
        return nil
    }

    private mutating func start() -> Int32? {
        do {
            commandID = try startCommand()
            report(.started(pid: commandID))
            try giveUpRights()
            return nil
        } catch {
            reportEnd(.failed(error))
            return status(of: error)
        }
    }

    private func startCommand() throws(SandboxError) -> Int32 {
        let name = specification.command[0]
        guard let path = CommandSearch.path(of: name, environment: specification.environment, directory: directory)
        else { throw SandboxError(.command, "there is no program `\(name)` in the session") }
        let files = try FileRules.make(changing: SessionRoot.writablePlaces(beside: directory), streams: [0, 1, 2])
        let program = Program(
            path: path, arguments: specification.command, environment: specification.environment,
            directory: directory, descriptors: [0, 1, 2], takesTerminal: specification.terminal != nil,
            confinement: Program.Confinement(
                uid: specification.processUID, gid: specification.processGID, asRoot: specification.asRoot,
                userNamespaces: specification.userNamespaces, files: files.number))
        do {
            let (pid, pidfd) = try program.start()
            close(pidfd)
            return pid
        } catch {
            throw error.error(starting: name)
        }
    }

    /// PID 1 keeps the right to signal the agent, and none of the command's streams: whoever reads them must see
    /// their end when the command closes them.
    private func giveUpRights() throws(SandboxError) {
        let null = unsafe open("/dev/null", O_RDWR | O_CLOEXEC)
        for stream in 0..<Int32(3) {
            try system(dup2(null, stream), .descriptors, "cannot let go of the command's streams")
        }
        close(null)
        let signalOthers: UInt64 = 1 << 5  // CAP_KILL
        try kernel(pt_drop_capabilities(signalOthers), .identity, "cannot give up the session's capabilities")
    }

    /// As a shell has it: 127 for a program that is not there, 126 for one that does not run.
    private func status(of error: SandboxError) -> Int32 {
        guard error.step == .command else { return Self.failureStatus }
        return error.reason.hasPrefix("there is no") ? 127 : 126
    }
}

/// Finds a program as execvp(3) does, in the session's own files.
enum CommandSearch {
    static func path(of name: String, environment: [String: String], directory: String) -> String? {
        if name.contains("/") {
            let path = name.hasPrefix("/") ? name : directory + "/" + name
            return FileKind(path) == nil ? nil : path
        }
        let folders = (environment["PATH"] ?? "").split(separator: ":").filter { $0.hasPrefix("/") }
        return folders.map { "\($0)/\(name)" }.first { unsafe access($0, X_OK) == 0 && !isDirectory($0) }
    }

    private static func isDirectory(_ path: String) -> Bool { FileKind(path) == .directory }
}
