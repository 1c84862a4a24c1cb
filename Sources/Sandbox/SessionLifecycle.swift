/// What PID 1 of a session does next; it has no socket and no clock.
struct SessionLifecycle: Equatable {
    enum State: Equatable { case waiting, running, finished }

    enum Event: Equatable {
        case command(EnclosureCommand)
        /// A message that is no command.
        case nonsense
        case controlClosed
        /// One that somebody sent to PID 1 itself.
        case signal(Int32)
        case commandEnded(EnclosureExit)
        case deadline
    }

    enum Action: Equatable {
        case nothing
        case start
        case forward(Int32)
        case setDeadline(Duration)
        case stopListening
        /// The time is up, and the command is left alone.
        case lapse
        /// Ends PID 1, and the kernel with it every other process.
        case finish(EnclosureReport, status: Int32)
    }

    /// Whether the command goes on when its time is up.
    let outlivesLease: Bool
    private(set) var state = State.waiting

    init(outlivesLease: Bool = false) { self.outlivesLease = outlivesLease }

    mutating func handle(_ event: Event) -> Action {
        let action =
            switch state {
            case .waiting: whileWaiting(event)
            case .running: whileRunning(event)
            case .finished: Action.nothing
            }
        switch action {
        case .start: state = .running
        case .finish: state = .finished
        default: break
        }
        return action
    }

    /// Nothing has run, so every doubt ends the session.
    private func whileWaiting(_ event: Event) -> Action {
        switch event {
        case .command(.go): .start
        case .command(.lease(let span)): .setDeadline(span)
        case .command(.hold): .nothing
        case .command(.signal(let signal)), .signal(let signal): Self.finish(.signal(signal))
        case .command(.end), .controlClosed, .commandEnded: Self.finish(.signal(Self.kill))
        case .nonsense: .finish(.failed(SandboxError(.control, "the daemon sent an unknown message")), status: 125)
        case .deadline: .finish(.expired, status: 128 + Self.kill)
        }
    }

    /// The command runs whatever becomes of the daemon, until its own end or its deadline.
    private func whileRunning(_ event: Event) -> Action {
        switch event {
        case .command(.go), .command(.hold), .nonsense: .nothing
        case .command(.lease(let span)): .setDeadline(span)
        case .command(.signal(let signal)), .signal(let signal): .forward(signal)
        case .command(.end): Self.finish(.signal(Self.kill))
        case .controlClosed: .stopListening
        case .commandEnded(let exit): Self.finish(exit)
        case .deadline where outlivesLease: .lapse
        case .deadline: .finish(.expired, status: 128 + Self.kill)
        }
    }

    private static let kill: Int32 = 9
    private static func finish(_ exit: EnclosureExit) -> Action { .finish(.exited(exit), status: exit.status) }
}
