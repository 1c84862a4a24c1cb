/// Why a change to a network interface, or to what stands on it, did not take effect.
package struct LinkError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Operation: String, Sendable {
        case open, create, enter, set, list, find, move, start, stop, delete
        case add, remove
    }

    package let operation: Operation
    /// For whoever reads it: "the address `10.0.0.1/32` to `wg0`".
    package let subject: String
    package let errno: Int32

    init(_ operation: Operation, _ subject: String, errno: Int32) {
        (self.operation, self.subject, self.errno) = (operation, subject, errno)
    }

    package var description: String { "cannot \(operation) \(subject): \(describe(errno: errno))" }
}

/// The result of a call of `CLinux`, whose failures are negative error numbers.
@discardableResult
func check(_ result: Int32, _ operation: LinkError.Operation, _ subject: String) throws(LinkError) -> Int32 {
    guard result >= 0 else { throw LinkError(operation, subject, errno: -result) }
    return result
}
