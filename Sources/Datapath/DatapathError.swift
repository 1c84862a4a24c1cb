internal import Glibc

/// Why something could not be done in the kernel's packet path.
package struct DatapathError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What we could not do: a verb and its object, such as "pin the link `…`".
    package let operation: String
    package let cause: String

    package init(_ operation: String, because cause: String) { (self.operation, self.cause) = (operation, cause) }

    package var description: String { "cannot \(operation): \(cause)" }
}

extension DatapathError {
    /// The result of a call that gives -errno; the caller's operation is only spelt out when it failed.
    @discardableResult
    static func check(_ result: Int32, _ operation: @autoclosure () -> String) throws(DatapathError) -> Int32 {
        guard result < 0 else { return result }
        throw DatapathError(operation(), because: text(of: -result))
    }

    /// The same for a call that sets errno, which the caller has read right behind it.
    init(_ operation: String, errno code: Int32) { self.init(operation, because: Self.text(of: code)) }

    static func text(of code: Int32) -> String {
        guard let text = unsafe strerror(code) else { return "error \(code)" }
        let sentence = unsafe String(cString: text)
        return sentence.prefix(1).lowercased() + sentence.dropFirst()
    }
}
