/// One word of a policy text.
struct Token: Equatable {
    enum Kind: Equatable {
        case identifier(String)
        case string(String)
        /// A string with the escape `\*`, which only a pattern may have.
        case pattern(Pattern)
        /// Nil if it does not fit, or is none.
        case number(UInt64?)
        /// `?name`, a blank of a template.
        case slot(String)
        case symbol(Symbol)
        case end
    }

    enum Symbol: String, CaseIterable {
        case path = "::"
        case equal = "=="
        case notEqual = "!="
        case lessOrEqual = "<="
        case greaterOrEqual = ">="
        case and = "&&"
        case or = "||"
        case openParenthesis = "("
        case closeParenthesis = ")"
        case openBracket = "["
        case closeBracket = "]"
        case openBrace = "{"
        case closeBrace = "}"
        case comma = ","
        case semicolon = ";"
        case colon = ":"
        case at = "@"
        case dot = "."
        case not = "!"
        case less = "<"
        case greater = ">"
        case plus = "+"
        case minus = "-"
        case times = "*"
        // Of schemas alone.
        case assign = "="
        case question = "?"

        fileprivate static let ofPolicies = allCases.filter { $0 != .assign && $0 != .question }
    }

    let kind: Kind
    let range: SourceRange
}

/// Cuts the text of policies or of a schema into tokens, from front to back.
struct Lexer {
    /// Policies and schemas share their words, but not every symbol.
    enum Dialect { case policy, schema }

    let source: [UInt8]
    let dialect: Dialect
    private var position = SourcePosition(line: 1, column: 1, offset: 0)

    init(_ source: [UInt8], dialect: Dialect = .policy) { (self.source, self.dialect) = (source, dialect) }

    mutating func next() throws(Diagnostic) -> Token {
        skipBlanks()
        let start = position
        let kind = try kind()
        return Token(kind: kind, range: SourceRange(start: start, end: position))
    }

    /// A mistake at `range`, shown with its line.
    func diagnostic(_ message: String, at range: SourceRange) -> Diagnostic {
        Diagnostic(message: message, range: range, excerpt: Excerpt(of: range, in: source))
    }

    private mutating func kind() throws(Diagnostic) -> Token.Kind {
        guard let byte = peek() else { return .end }
        if Identifier.isStart(byte) { return .identifier(word()) }
        if Identifier.isDigit(byte) {
            return .number(UInt64(word()))
        }
        if byte == UInt8(ascii: "\"") { return try string() }
        if dialect == .policy, byte == UInt8(ascii: "?"), let next = peek(1), Identifier.isStart(next) {
            advance(1)
            return .slot(word())
        }
        // Of two symbols that both fit the longer wins: the two-byte ones come first.
        let symbols = dialect == .policy ? Token.Symbol.ofPolicies : Token.Symbol.allCases
        if let symbol = symbols.first(where: { source[position.offset...].starts(with: $0.rawValue.utf8) }) {
            advance(symbol.rawValue.utf8.count)
            return .symbol(symbol)
        }
        throw unexpectedCharacter()
    }

    private mutating func word() -> String {
        let bytes = source[position.offset...].prefix(while: Identifier.isPart)
        advance(bytes.count)
        return String(decoding: bytes, as: UTF8.self)
    }

    private mutating func string() throws(Diagnostic) -> Token.Kind {
        let quote = position
        advance(1)
        var bytes: [UInt8] = []
        /// Where in `bytes` a star stands for itself.
        var stars: Set<Int> = []
        while let byte = peek() {
            switch byte {
            case UInt8(ascii: "\""):
                advance(1)
                guard stars.isEmpty else { return .pattern(Pattern(bytes, literalStars: stars)) }
                return .string(String(decoding: bytes, as: UTF8.self))
            case UInt8(ascii: "\\") where peek(1) == UInt8(ascii: "*"):
                stars.insert(bytes.count)
                bytes.append(UInt8(ascii: "*"))
                advance(2)
            case UInt8(ascii: "\\"):
                bytes.append(contentsOf: String(Character(try escape())).utf8)
            case UInt8(ascii: "\r"):
                throw unexpectedCharacter()
            default:
                bytes.append(byte)
                advance(1)
            }
        }
        // The mark stands at the opening quote: the end of the text says nothing about where the string began.
        let opening = SourcePosition(line: quote.line, column: quote.column + 1, offset: quote.offset + 1)
        throw diagnostic("this string has no closing quote", at: SourceRange(start: quote, end: opening))
    }

    private mutating func escape() throws(Diagnostic) -> Unicode.Scalar {
        do {
            let (scalar, length) = try StringLiteral.unescape(source[position.offset...])
            advance(length)
            return scalar
        } catch {
            let start = position
            advance(error.length)
            throw diagnostic(error.reason, at: SourceRange(start: start, end: position))
        }
    }

    private mutating func unexpectedCharacter() -> Diagnostic {
        let start = position
        let scalar =
            String(decoding: source[start.offset...].prefix(4), as: UTF8.self).unicodeScalars.first ?? "\u{FFFD}"
        advance(min(UTF8.width(scalar), source.count - start.offset))
        if let hint = Self.hints[scalar] { return diagnostic(hint, at: SourceRange(start: start, end: position)) }
        let code = String(scalar.value, radix: 16, uppercase: true)
        let name = "U+" + String(repeating: "0", count: max(0, 4 - code.count)) + code
        return diagnostic(
            scalar.isPrintable ? "unexpected character `\(scalar)`" : "unexpected character \(name)",
            at: SourceRange(start: start, end: position))
    }

    /// Operators of other languages.
    private static let hints: [Unicode.Scalar: String] = [
        "=": "`=` is no operator here: to compare, write `==`",
        "/": "there is no division in this language",
        "%": "there is no division in this language, and so no remainder",
        "&": "`&` is no operator here: write `&&`",
        "|": "`|` is no operator here: write `||`",
    ]

    /// White space and comments. A comment ends at a carriage return too, as it does in the reference: what is live
    /// text there must not be silent here.
    private mutating func skipBlanks() {
        while let byte = peek() {
            switch byte {
            case UInt8(ascii: " "), 0x09...0x0D: advance(1)
            case UInt8(ascii: "/") where peek(1) == UInt8(ascii: "/"):
                advance(
                    source[position.offset...].prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }.count)
            case 0x80...:
                let scalar = String(decoding: source[position.offset...].prefix(4), as: UTF8.self).unicodeScalars.first
                guard let scalar, scalar.properties.isWhitespace else { return }
                advance(UTF8.width(scalar))
            default: return
            }
        }
    }

    private func peek(_ ahead: Int = 0) -> UInt8? {
        let index = position.offset + ahead
        return index < source.count ? source[index] : nil
    }

    private mutating func advance(_ count: Int) {
        var (line, column) = (position.line, position.column)
        for byte in source[position.offset..<position.offset + count] {
            if byte == UInt8(ascii: "\n") {
                line += 1
                column = 1
            } else if byte & 0xC0 != 0x80 {
                column += 1
            }
        }
        position = SourcePosition(line: line, column: column, offset: position.offset + count)
    }
}
