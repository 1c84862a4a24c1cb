/// How a command ends: the one list of exit codes.
struct ExitStatus: RawRepresentable, Error, Equatable {
    let rawValue: Int32

    static let success = ExitStatus(rawValue: 0)
    static let error = ExitStatus(rawValue: 1)
    static let denied = ExitStatus(rawValue: 2)
    /// The policies are not valid.
    static let invalid = ExitStatus(rawValue: 3)
    /// The decision hangs on what is not known yet.
    static let unknown = ExitStatus(rawValue: 4)
    /// `run` could not start, or lost, the command: the code of `docker run` and `env` for the same.
    static let refused = ExitStatus(rawValue: 125)
}

/// Why a command did not do what was asked, as a sentence that says what to do.
struct CommandFailure: Error, Equatable, CustomStringConvertible {
    let message: String
    /// Whether there is nobody at posternd's socket.
    let isAbsence: Bool

    init(_ message: String, isAbsence: Bool = false) { (self.message, self.isAbsence) = (message, isAbsence) }
    var description: String { message }
}
