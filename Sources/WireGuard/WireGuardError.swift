internal import Glibc

/// Why a WireGuard device could not be made, read, changed or deleted.
package struct WireGuardError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Operation: String, Sendable { case create, move, find, list, read, change, delete }

    package enum Cause: Equatable, Sendable {
        /// The system refused a call.
        case system(Int32)
        /// The device itself answered with an error.
        case refused(Int32)
        /// Its answer was not in the protocol.
        case malformed(MalformedReply)
        case timedOut
        /// The program did not start, or ended; the last line that it wrote, if any.
        case ended(program: String, lastLine: String)
        /// Its program runs, but nobody can reach it.
        case unreachable
        case exists
        case notOurs
        case link(LinkError)
    }

    package let operation: Operation
    /// Nil when it is about all of them.
    package let device: DeviceName?
    package let cause: Cause

    init(_ operation: Operation, _ device: DeviceName?, _ cause: Cause) {
        (self.operation, self.device, self.cause) = (operation, device, cause)
    }

    package var description: String { "cannot \(operation) \(subject): \(reason)" }

    private var subject: String { device.map { "the WireGuard device `\($0)`" } ?? "the WireGuard devices" }

    private var reason: String {
        switch cause {
        case .system(let number): describe(errno: number)
        case .refused(let number): "it refused: \(describe(errno: number))"
        case .malformed(let reply): "\(reply)"
        case .timedOut: "it did not answer in time"
        case .ended(let program, ""): "`\(program)` ended at once and wrote nothing"
        case .ended(let program, let line): "`\(program)` ended at once: \(line)"
        case .unreachable: "its program runs, but does not listen"
        case .exists: "there is one already"
        case .notOurs: "it does not belong to this program"
        case .link(let error): "\(error)"
        }
    }
}

/// What the C library calls an error number, with the number.
func describe(errno number: Int32) -> String {
    // Safe in glibc, whose text is constant or the thread's own (strerror(3), since 2.32).
    guard let pointer = unsafe strerror(number) else { return "error \(number)" }
    let text = unsafe String(cString: pointer)
    return "\(text.prefix(1).lowercased())\(text.dropFirst()) (errno \(number))"
}
