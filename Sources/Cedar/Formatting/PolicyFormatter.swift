/// Lays policies out as the reference does, with their comments. Cedar docs, _Cedar CLI_, `format`.
public struct PolicyFormatter: Sendable {
    public let lineWidth: Int
    public let indentWidth: Int

    public init(lineWidth: Int = 80, indentWidth: Int = 2) {
        self.lineWidth = min(max(lineWidth, 1), 10_000)
        self.indentWidth = min(max(indentWidth, 0), 100)
    }

    /// The same policies, laid out. What is laid out stays as it is.
    public func format(_ text: String) throws(ParseError) -> String {
        let before = try Self.read(text)
        let formatted: String
        do throws(Diagnostic) {
            var writer = PolicyWriter(tokens: try CommentedToken.all(of: text), indent: indentWidth)
            var policies: [String] = []
            while let layout = try writer.policy() {
                policies.append(Self.withoutBlankLines(layout.text(width: lineWidth)))
            }
            let last = writer.commentsAtEnd.map { "\($0)\n" }.joined()
            formatted = policies.joined(separator: "\n\n") + "\n" + last
        } catch { throw ParseError(diagnostics: [error]) }
        // A formatter must never change what a policy says, so it is asked.
        guard let after = try? Self.read(formatted), after.map(\.description) == before.map(\.description) else {
            let origin = SourcePosition(line: 1, column: 1, offset: 0)
            let range = SourceRange(start: origin, end: origin)
            throw ParseError(
                diagnostics: [Lexer([]).diagnostic("the policies cannot be laid out without a change", at: range)])
        }
        return formatted
    }

    private static func read(_ text: String) throws(ParseError) -> [Statement] {
        try Parser.statements(of: text, naming: .place, allowingTemplates: true)
    }

    /// Lines without anything go, but not those within strings. As in the reference, what is blank from a string to the
    /// end of its line goes with its line break, and a comment below comes up to the string.
    private static func withoutBlankLines(_ text: String) -> String {
        var (kept, between): ([UInt8], [UInt8]) = ([], [])
        var rest = Array(text.utf8)[...]
        while let byte = rest.first {
            let length = byte == UInt8(ascii: "\"") ? lengthOfString(rest) : lengthOfComment(rest)
            if length > 0 {
                kept += withoutBlanks(between) + rest.prefix(length)
                between = []
            } else {
                between.append(byte)
            }
            rest = rest.dropFirst(max(length, 1))
        }
        let bytes = (kept + withoutBlanks(between)).drop { $0 <= 0x20 }
        return String(
            decoding: bytes.prefix((bytes.lastIndex { $0 > 0x20 } ?? bytes.startIndex - 1) - bytes.startIndex + 1),
            as: UTF8.self)
    }

    /// With its quotes.
    private static func lengthOfString(_ bytes: ArraySlice<UInt8>) -> Int {
        var isEscaped = false
        for (place, byte) in bytes.dropFirst().enumerated() {
            if byte == UInt8(ascii: "\""), !isEscaped { return place + 2 }
            isEscaped = !isEscaped && byte == UInt8(ascii: "\\")
        }
        return bytes.count
    }

    /// 0 where there is none.
    private static func lengthOfComment(_ bytes: ArraySlice<UInt8>) -> Int {
        bytes.starts(with: "//".utf8) ? bytes.prefix { $0 != UInt8(ascii: "\n") }.count : 0
    }

    /// Of what is neither string nor comment; the last line is not at its end.
    private static func withoutBlanks(_ bytes: [UInt8]) -> [UInt8] {
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        let full = lines.dropLast().filter { line in line.contains { $0 > 0x20 } }.flatMap { $0 + [UInt8(ascii: "\n")] }
        return (bytes.first == UInt8(ascii: "\n") ? [UInt8(ascii: "\n")] : []) + full + (lines.last ?? [])
    }
}
