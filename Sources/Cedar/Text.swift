/// A string of the language, which is its bytes.
///
/// Swift's `String` holds canonically equivalent spellings for equal; the language does not, and neither may a policy.
public struct Text: Hashable, Comparable, Sendable, CustomStringConvertible, ExpressibleByStringLiteral {
    public let string: String

    public init(_ string: String) { self.string = string }
    public init(stringLiteral string: String) { self.string = string }

    /// The string itself, without quotes.
    public var description: String { string }

    public static func == (left: Text, right: Text) -> Bool {
        Bytes.areEqual(left.string, right.string)
    }

    public func hash(into hasher: inout Hasher) {
        unsafe string.utf8.span.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
        hasher.combine(0xFF as UInt8)
    }

    public static func < (left: Text, right: Text) -> Bool {
        left.string.utf8.lexicographicallyPrecedes(right.string.utf8)
    }
}
