import CLinux
import Dispatch
import Foundation
import Synchronization

/// What a running session tells its daemon.
package enum EnclosureEvent: Equatable, Sendable {
    case report(EnclosureReport)
    /// PID 1 was reaped, and with it every process of the session is gone. Always the last event.
    case ended(EnclosureExit)
}

/// A session seen from `posternd`.
///
/// It outlives this value and the daemon: only its command's end, its time to live, `end` and `kill` stop it.
package final class EnclosureProcess: Sendable {
    /// PID 1 of the session, as the daemon's pid namespace counts.
    package let pid: Int32
    /// When it started, in clock ticks since boot: with it a process id is nobody else's.
    package let startTime: UInt64
    /// Reports in their checked order, then `ended`, then the end of the stream. For one consumer.
    ///
    /// Few of them: only leases that end and are renewed may repeat.
    package let events: AsyncStream<EnclosureEvent>
    private let descriptors: SessionDescriptors

    convenience init(_ started: consuming StartedSession) throws(SandboxError) {
        // A child that has ended keeps its id until it is reaped, which only the watch does.
        guard let startTime = Self.startTime(of: started.pid) else {
            _ = pt_pidfd_signal(started.pidfd.number, SIGKILL)
            throw SandboxError(.spawn, "the system does not say when the session's first process started")
        }
        self.init(started, startTime: startTime, progress: .preparing)
    }

    private init(_ started: consuming StartedSession, startTime: UInt64, progress: EnclosureProgress) {
        (pid, self.startTime) = (started.pid, startTime)
        let (events, continuation) = AsyncStream.makeStream(of: EnclosureEvent.self)
        self.events = events
        descriptors = started.release()
        SessionWatch(descriptors, continuation, progress).start()
    }

    /// Finds a session again that an earlier daemon started; throws when there is none any more.
    ///
    /// Its reports begin with `started`. Its end comes without a status where it is not this process's child: the
    /// status is in its last report.
    package static func adopt(
        pid: Int32, startTime: UInt64, rendezvous: Rendezvous
    ) throws(SandboxError) -> EnclosureProcess {
        let pidfd = Descriptor(
            owning: try kernel(pt_pidfd_open(pid), .control, "the session's first process \(pid) is not there"))
        // Whoever has the id now is whom the descriptor holds.
        guard Self.startTime(of: pid) == startTime else {
            throw SandboxError(.control, "the session's first process \(pid) has ended, and another has its id")
        }
        let control = try rendezvous.connect()
        return EnclosureProcess(
            StartedSession(pid: pid, pidfd: pidfd, control: control), startTime: startTime, progress: .found)
    }

    /// Field 22 of `/proc/PID/stat`; nil when there is no such process, or it has ended.
    package static func startTime(of pid: Int32) -> UInt64? {
        guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8) else { return nil }
        // The name of the program is in parentheses and may hold anything, so fields count from the last one.
        let fields = text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ")
        guard fields.count > 20 else { return nil }
        return UInt64(fields[20])
    }

    /// Sends one command, `hold` with descriptors, which stay the caller's to close; throws when the session is gone.
    package func send(_ command: EnclosureCommand, with held: [Int32] = []) throws(SandboxError) {
        try kernel(
            descriptors.withControl { ControlSocket.send(command.text, with: held, to: $0) } ?? -ESRCH,
            .control, "cannot tell the session `\(command.text)`")
    }

    /// Kills PID 1, and so every process of the session.
    package func kill() throws(SandboxError) {
        let result = descriptors.withPidfd { pt_pidfd_signal($0, SIGKILL) } ?? -ESRCH
        guard result != -ESRCH else { return }
        try kernel(result, .control, "cannot kill the session with process id \(pid)")
    }
}

/// A session's first process, and the daemon's end of the control socket.
struct StartedSession: ~Copyable {
    let pid: Int32
    let pidfd: Descriptor
    let control: Descriptor

    fileprivate consuming func release() -> SessionDescriptors {
        SessionDescriptors(pidfd: pidfd.release(), control: control.release())
    }
}

/// The two descriptors of a session, closed together once it has ended.
private final class SessionDescriptors: Sendable {
    private let numbers: Mutex<(pidfd: Int32, control: Int32)?>

    init(pidfd: Int32, control: Int32) { numbers = Mutex((pidfd, control)) }

    func withPidfd<R: Sendable>(_ body: (Int32) -> R) -> R? { numbers.withLock { $0.map { body($0.pidfd) } } }
    func withControl<R: Sendable>(_ body: (Int32) -> R) -> R? { numbers.withLock { $0.map { body($0.control) } } }

    func closeAll() {
        guard let open = numbers.withLock({ $0.take() }) else { return }
        close(open.pidfd)
        close(open.control)
    }
}

/// Turns readable descriptors into events, and reaps the session whether or not anyone listens.
///
/// Unchecked because its variables are touched on its serial queue only, once `start` has returned.
/// The sources keep it alive until they are cancelled.
private final class SessionWatch: @unchecked Sendable {
    private let descriptors: SessionDescriptors
    private let continuation: AsyncStream<EnclosureEvent>.Continuation
    private let queue = DispatchQueue(label: "postern.session")
    private var progress: EnclosureProgress
    private var reports: (any DispatchSourceRead)?
    private var end: (any DispatchSourceRead)?
    private var sources = 2

    init(
        _ descriptors: SessionDescriptors, _ continuation: AsyncStream<EnclosureEvent>.Continuation,
        _ progress: EnclosureProgress
    ) {
        (self.descriptors, self.continuation, self.progress) = (descriptors, continuation, progress)
    }

    func start() {
        queue.sync {
            reports = descriptors.withControl { $0 }.map { watch($0) { $0.readReports() } }
            end = descriptors.withPidfd { $0 }.map { watch($0) { $0.reap() } }
        }
    }

    private func watch(_ descriptor: Int32, _ handler: @escaping (SessionWatch) -> Void) -> any DispatchSourceRead {
        let source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: queue)
        source.setEventHandler { handler(self) }
        source.setCancelHandler { self.sourceEnded() }
        source.activate()
        return source
    }

    private func readReports() {
        while true {
            switch descriptors.withControl({ ControlSocket.receive(from: $0) }) {
            case .text(let text): take(text)
            case .nothing: return
            case .closed, nil:
                reports?.cancel()
                reports = nil
                return
            }
        }
    }

    /// What cannot be understood, or is out of order, says nothing: the end of the process does.
    private func take(_ text: String) {
        guard let report = EnclosureReport(text), progress.accept(report) else { return }
        continuation.yield(.report(report))
    }

    private func reap() {
        var ending = pt_ending()
        let result = descriptors.withPidfd { unsafe pt_pidfd_reap($0, &ending) } ?? -ECHILD
        guard result < 0 || ending.pid != 0 else { return }
        readReports()
        continuation.yield(.ended(result < 0 ? .signal(SIGKILL) : EnclosureExit(ending)))
        continuation.finish()
        close()
    }

    private func close() {
        reports?.cancel()
        end?.cancel()
        (reports, end) = (nil, nil)
    }

    /// A descriptor may be closed only when its source has let go of it (dispatch_source_set_cancel_handler(3)).
    private func sourceEnded() {
        sources -= 1
        if sources == 0 { descriptors.closeAll() }
    }
}

extension EnclosureExit {
    init(_ ending: pt_ending) { self = ending.by_signal ? .signal(ending.status) : .code(ending.status) }
}
