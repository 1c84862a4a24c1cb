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

    /// Lines without anything go, but not those within strings.
    private static func withoutBlankLines(_ text: String) -> String {
        var kept: [UInt8] = []
        var line: [UInt8] = []
        var (isInString, isInComment, isEscaped) = (false, false, false)
        for byte in text.utf8 {
            if byte == UInt8(ascii: "\n") {
                if isInString || line.contains(where: { $0 > 0x20 }) { kept += line + [byte] }
                line = []
                isInComment = false
            } else {
                if isInString {
                    isInString = isEscaped || byte != UInt8(ascii: "\"")
                    isEscaped = !isEscaped && byte == UInt8(ascii: "\\")
                } else if !isInComment, byte == UInt8(ascii: "\"") {
                    (isInString, isEscaped) = (true, false)
                } else if byte == UInt8(ascii: "/"), line.last == byte {
                    isInComment = true
                }
                line.append(byte)
            }
        }
        let bytes = (kept + line).drop { $0 <= 0x20 }
        return String(
            decoding: bytes.prefix((bytes.lastIndex { $0 > 0x20 } ?? bytes.startIndex - 1) - bytes.startIndex + 1),
            as: UTF8.self)
    }
}
