import Mesh

// The control protocol between `posternd` and `postern-session`: one packet of a SOCK_SEQPACKET pair is
// one message, a line of text of at most 1 KiB.
//
//     posternd                         postern-session
//        <-- ready ---------------------- mounts stand, nothing has run
//        --- go ------------------------>
//        <-- started PID ---------------- PID in the session's own pid namespace
//        --- signal N | lease MS | end ->
//        --- hold ----------------------> comes with descriptors, before `go` or after
//        <-- exited code N | signal N --- or `expired`; before that `lapsed`, where the command outlives its lease
//        <-- failed STEP: SENTENCE ------ in place of any of the above, and the last message

/// What `posternd` tells a session.
package enum EnclosureCommand: Equatable, Sendable {
    case go
    /// For the command's process group.
    case signal(Int32)
    /// The session lives this long from now on.
    case lease(Duration)
    /// Keeps the descriptors that come along open until the session ends or others come, and does nothing with them.
    case hold
    case end
}

/// What a session tells `posternd`.
package enum EnclosureReport: Equatable, Sendable {
    case ready
    case started(pid: Int32)
    case exited(EnclosureExit)
    /// The time to live ran out; what was left was killed.
    case expired
    /// The time to live ran out, and the command goes on.
    case lapsed
    /// The enclosure, or with the step `command` only the command, could not be run. The session's end that
    /// follows bears the status: 125, and for a command what a shell gives, 127 if it is not there and else 126.
    case failed(SandboxError)
}

/// How a command, or a whole session, ended.
package enum EnclosureExit: Equatable, Sendable {
    case code(Int32)
    case signal(Int32)

    /// The status that a shell would show.
    package var status: Int32 {
        switch self {
        case .code(let code): code
        case .signal(let signal): 128 + signal
        }
    }
}

extension EnclosureCommand {
    static let maximumLength = 1024
    /// That come with `hold`.
    package static let mostDescriptors = 2

    /// Signals that may be passed on: those of a terminal and of a polite stop.
    package static let forwarded: Set<Int32> = [1, 2, 3, 10, 12, 15, 18, 28]  // HUP INT QUIT USR1 USR2 TERM CONT WINCH

    package var text: String {
        switch self {
        case .go: "go"
        case .signal(let number): "signal \(number)"
        case .lease(let span): "lease \(span.milliseconds)"
        case .hold: "hold"
        case .end: "end"
        }
    }

    package init?(_ text: String) {
        let words = text.split(separator: " ", omittingEmptySubsequences: false)
        switch (words.first, words.count) {
        case ("go", 1): self = .go
        case ("hold", 1): self = .hold
        case ("end", 1): self = .end
        case ("signal", 2):
            guard let number = Int32(words[1]), Self.forwarded.contains(number) else { return nil }
            self = .signal(number)
        case ("lease", 2):
            guard let span = Int64(words[1]), (1...EnclosureSpecification.longestLife.milliseconds).contains(span)
            else { return nil }
            self = .lease(.milliseconds(span))
        default: return nil
        }
    }
}

extension EnclosureReport {
    package var text: String {
        switch self {
        case .ready: "ready"
        case .started(let pid): "started \(pid)"
        case .exited(.code(let code)): "exited code \(code)"
        case .exited(.signal(let signal)): "exited signal \(signal)"
        case .expired: "expired"
        case .lapsed: "lapsed"
        case .failed(let error): "failed \(error.step.rawValue): \(Self.oneLine(error.reason))"
        }
    }

    package init?(_ text: String) {
        if let failure = Self.failure(text) {
            self = failure
            return
        }
        let words = text.split(separator: " ", omittingEmptySubsequences: false)
        let number = words.last.flatMap { Int32($0) }
        switch (words.first, words.count) {
        case ("ready", 1): self = .ready
        case ("expired", 1): self = .expired
        case ("lapsed", 1): self = .lapsed
        case ("started", 2):
            guard let number, number > 1 else { return nil }
            self = .started(pid: number)
        case ("exited", 3):
            guard let number, (0...255).contains(number) else { return nil }
            switch words[1] {
            case "code": self = .exited(.code(number))
            case "signal": self = .exited(.signal(number))
            default: return nil
            }
        default: return nil
        }
    }

    private static func failure(_ text: String) -> EnclosureReport? {
        guard text.hasPrefix("failed "), let colon = text.firstIndex(of: ":"),
            let step = SandboxError.Step(rawValue: String(text[..<colon].dropFirst(7)))
        else { return nil }
        return .failed(SandboxError(step, String(text[colon...].dropFirst(2))))
    }

    /// Cut and without control characters, so that any reason fits into one message.
    private static func oneLine(_ reason: String) -> String {
        String(String.UnicodeScalarView(reason.unicodeScalars.prefix(200).map { $0.value < 32 ? " " : $0 }))
    }
}
