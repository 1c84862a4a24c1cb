/// A token with the comments around it: those on lines above it, and the one behind it on its own line.
struct CommentedToken {
    let kind: Token.Kind
    /// As it is written, but for zeros before a number.
    let text: String
    var leading: [String] = []
    var trailing: String?

    /// Cuts a policy text into tokens, the last of which is the end with what follows the last policy.
    static func all(of text: String) throws(Diagnostic) -> [CommentedToken] {
        let source = Array(text.utf8)
        var lexer = Lexer(source)
        var tokens: [CommentedToken] = []
        var end = 0
        while true {
            let token = try lexer.next()
            let (start, next) = (token.range.start.offset, token.range.end.offset)
            var text = String(decoding: source[start..<next], as: UTF8.self)
            if case .number(let value?) = token.kind { text = "\(value)" }
            var current = CommentedToken(kind: token.kind, text: text)
            var gap = source[end..<start]
            if !tokens.isEmpty {
                // What stands behind a token on its line belongs to it, all else to the next.
                let behind = gap.prefix { $0 != UInt8(ascii: "\n") }
                tokens[tokens.count - 1].trailing = comments(in: behind).first
                gap = gap.dropFirst(behind.count)
            }
            current.leading = comments(in: gap)
            tokens.append(current)
            if token.kind == .end { return tokens }
            end = next
        }
    }

    /// Between tokens there are only blanks and comments.
    private static func comments(in gap: ArraySlice<UInt8>) -> [String] {
        gap.split(whereSeparator: { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }).compactMap { line in
            guard let start = line.firstIndex(of: UInt8(ascii: "/")) else { return nil }
            let comment = line[start...]
            let length = (comment.lastIndex { $0 > 0x20 } ?? comment.startIndex) - comment.startIndex + 1
            return String(decoding: comment.prefix(length), as: UTF8.self)
        }
    }
}
