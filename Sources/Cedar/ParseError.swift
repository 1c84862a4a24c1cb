/// Why a policy text was refused: the first mistake of each policy, in the order of the text.
public struct ParseError: Error, Equatable, CustomStringConvertible {
    /// Never empty.
    public let diagnostics: [Diagnostic]

    public var description: String { diagnostics.map(\.description).joined(separator: "\n") }

    /// Each mistake with its source line and a caret below it.
    public var rendering: String { diagnostics.map(\.rendering).joined(separator: "\n") }
}

/// One mistake in a policy text and where it is.
public struct Diagnostic: Error, Equatable, Sendable, CustomStringConvertible {
    public let message: String
    public let range: SourceRange
    /// What a terminal may show of the line that the range starts in.
    public let excerpt: Excerpt

    /// `line:column: message`
    public var description: String { "\(range.start): \(message)" }

    /// The description with the pointer below it.
    public var rendering: String { "\(description)\n\(pointer)" }

    /// The source line with a caret below the mistake.
    public var pointer: String {
        let number = String(range.start.line)
        let margin = String(repeating: " ", count: number.count)
        return """
            \(margin) |
            \(number) | \(excerpt.text)
            \(margin) | \(String(repeating: " ", count: excerpt.indent))\(String(repeating: "^", count: excerpt.width))
            """
    }
}

/// One source line, cut to fit a terminal and without characters that could drive it.
public struct Excerpt: Equatable, Sendable {
    public let text: String
    /// Characters of `text` before the mistake.
    public let indent: Int
    /// Characters of the mistake, at least 1.
    public let width: Int

    private static let before = 60
    private static let length = 120

    init(of range: SourceRange, in source: [UInt8]) {
        let newline = UInt8(ascii: "\n")
        let offset = min(range.start.offset, source.count)
        let start = source[..<offset].lastIndex(of: newline).map { $0 + 1 } ?? 0
        let end = source[offset...].firstIndex(of: newline) ?? source.count
        let prefix = Self.printable(source[start..<offset]).suffix(Self.before)
        let rest = Self.printable(source[offset..<end]).prefix(Self.length - prefix.count)
        let spanned = Self.printable(source[offset..<max(offset, min(range.end.offset, end))]).count
        text = String(String.UnicodeScalarView(prefix + rest))
        indent = prefix.count
        width = max(1, min(spanned, rest.count))
    }

    private static func printable(_ bytes: ArraySlice<UInt8>) -> [Unicode.Scalar] {
        String(decoding: bytes, as: UTF8.self).unicodeScalars
            .filter { $0 != "\r" }
            .map { $0 == "\t" ? " " : $0.isPrintable ? $0 : "\u{FFFD}" }
    }
}
