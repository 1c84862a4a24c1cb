import CoordinationAPI
import Glibc
import Mesh

/// The talk with `posternd` while a command runs.
///
/// A session outlives the daemon. When the daemon goes, this waits for it to come back and hears of the session again,
/// for as long as a session lives without a daemon that renews it.
struct RunConversation: ~Copyable {
    /// A session's lease.
    static let patience = Duration.seconds(15 * 60)
    private static let pause: Int32 = 100

    private let path: String
    private var connection: LocalConnection
    private var session: SessionID?
    private var agent: AgentName?
    /// Signals that could not be handed on yet.
    private var held: [Int32] = []
    /// When the daemon went, in milliseconds of the monotonic clock; nil while it speaks.
    private var lostAt: Int64?
    private var relay: StreamRelay
    private let login: Login?

    init(path: String, relay: consuming StreamRelay, login: Login?) throws(CommandFailure) {
        (self.path, self.login) = (path, login)
        self.relay = relay
        connection = try LocalConnection(path: path)
    }

    /// Until the command has ended: its exit code.
    mutating func run(_ request: RunRequest, signals: borrowing SignalQueue) throws(CommandFailure) -> ExitStatus {
        try connection.send(.run(request), descriptors: relay.inner)
        agent = request.agent
        relay.letGo()
        while true {
            while let answer = try connection.next() { if let code = try take(answer) { return code } }
            if try wait(signals) { continue }
            guard let session else {
                throw CommandFailure("posternd hung up before the command ran: its log may say why")
            }
            try attach(to: session, signals)
        }
    }

    /// What the command ended with, once it has.
    private mutating func take(_ answer: LocalResponse) throws(CommandFailure) -> ExitStatus? {
        switch answer {
        case .started(let id):
            complain(session == nil ? "session \(id)" : "posternd is back")
            (session, lostAt) = (id, nil)
        case .identify(let presence):
            // One session of the agent that was asked for: nothing else is signed.
            guard let login, session == nil, presence.agent == agent else { throw CommandFailure.wrongAnswer }
            agent = nil
            try connection.send(.present(try login.sign(presence, at: wallClock())))
        case .notice(let text): complain(text)
        case .exited(let code):
            relay.finish()
            return ExitStatus(rawValue: code)
        case .failed(let message): throw CommandFailure(message)
        default: throw CommandFailure.wrongAnswer
        }
        return nil
    }

    /// Waits for bytes, and hands on signals meanwhile; false when posternd hung up.
    private mutating func wait(_ signals: borrowing SignalQueue) throws(CommandFailure) -> Bool {
        var ready = [
            pollfd(fd: connection.descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: signals.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        ready += relay.waiting
        guard unsafe poll(&ready, nfds_t(ready.count), -1) >= 0 || errno == EINTR else {
            throw CommandFailure("cannot wait for posternd: \(systemReason(errno))")
        }
        try relay.carry(ready[2...])
        if ready[1].revents != 0 { take(signals) }
        guard handOnSignals() else { return false }
        return ready[0].revents == 0 ? true : try connection.fill()
    }

    /// Keeps what is for the command; a change of our terminal's size goes to its terminal at once.
    private mutating func take(_ signals: borrowing SignalQueue) {
        let came = signals.pending()
        if came.contains(SIGWINCH) { relay.resize() }
        held += came.filter { $0 != SIGWINCH }
    }

    private func complain(_ text: String) {
        guard relay.isRaw else { return Terminal.current.complain(text) }
        // A raw terminal goes down a line and stays in its column.
        Terminal.current.errors("\r" + "postern: \(printable(text))\n".replacing("\n", with: "\r\n"))
    }

    /// False when posternd does not take them; they are kept.
    private mutating func handOnSignals() -> Bool {
        while let signal = held.first {
            do throws(CommandFailure) { try connection.send(.signal(signal)) } catch { return false }
            held.removeFirst()
        }
        return true
    }

    /// Waits for a daemon to listen again, and asks it for the session.
    private mutating func attach(to session: SessionID, _ signals: borrowing SignalQueue) throws(CommandFailure) {
        let now = Self.milliseconds()
        if lostAt == nil {
            complain("posternd has gone; session \(session) runs on, and this waits for it to come back")
        }
        let since = lostAt ?? now
        lostAt = since
        while Self.milliseconds() - since < Self.patience.milliseconds {
            try pause(session, signals)
            guard let fresh = Self.connect(to: path) else { continue }
            connection = fresh
            // Whether it took the question shows when its answer is awaited.
            do throws(CommandFailure) { try connection.send(.attach(session)) } catch { continue }
            return
        }
        throw CommandFailure(
            "posternd has not come back within 15 minutes: session \(session) has ended, for nobody renewed it")
    }

    private static func connect(to path: String) -> LocalConnection? {
        do throws(CommandFailure) { return try LocalConnection(path: path) } catch { return nil }
    }

    /// A signal waits for the daemon with us; the second one means us.
    private mutating func pause(_ session: SessionID, _ signals: borrowing SignalQueue) throws(CommandFailure) {
        var ready = [pollfd(fd: signals.descriptor, events: Int16(POLLIN), revents: 0)]
        ready += relay.waiting
        guard unsafe poll(&ready, nfds_t(ready.count), Self.pause) > 0 else { return }
        try relay.carry(ready[1...])
        let known = held.count
        if ready[0].revents != 0 { take(signals) }
        guard held.count > known else { return }
        if held.count == 1 {
            return complain("the command gets the signal once posternd is back; again, to leave it alone")
        }
        throw CommandFailure(
            "session \(session) is left alone: it ends when its command does, or its lease; `postern session end \(session)`"
        )
    }

    private static func milliseconds() -> Int64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }
}
