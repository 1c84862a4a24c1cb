/// Goes through the tokens of a text that was found to be right, and lays out each policy.
struct PolicyWriter {
    private var tokens: [CommentedToken]
    private var place = 0
    let indent: Int

    init(tokens: [CommentedToken], indent: Int) { (self.tokens, self.indent) = (tokens, indent) }

    /// What stands behind the last policy.
    var commentsAtEnd: [String] { tokens.last?.leading ?? [] }

    /// Nil behind the last policy.
    mutating func policy() throws(Diagnostic) -> Layout? {
        guard tokens[place].kind != .end else { return nil }
        var parts: [Layout] = []
        while isNext(.at) { parts.append(annotation()) }
        let effect = take()
        parts.append(Self.leading(effect))
        parts.append(.group(.concat([.text(effect.text), Self.trailing(effect), .line, Self.with(take())])))
        parts.append(try scope())
        var conditions: [Layout] = []
        let close = take()
        while case .identifier = tokens[place].kind { conditions.append(try condition()) }
        parts.append(Self.with(close, next: conditions.isEmpty ? .empty : .hardLine))
        for (number, condition) in conditions.enumerated() {
            if number > 0 { parts.append(.hardLine) }
            parts.append(condition)
        }
        parts.append(Self.with(take()))
        return .concat(parts)
    }

    private mutating func annotation() -> Layout {
        var parts = [Self.with(take())]
        guard tokens[place + 1].kind == .symbol(.openParenthesis) else {
            return .concat(parts + [Self.with(take(), next: .hardLine)])
        }
        for _ in 0..<3 { parts.append(Self.with(take())) }
        return .concat(parts + [Self.with(take(), next: .hardLine)])
    }

    /// On one line if nothing is asked of any variable.
    private mutating func scope() throws(Diagnostic) -> Layout {
        let isPlain =
            [1, 3].allSatisfy { tokens.indices.contains(place + $0) && tokens[place + $0].kind == .symbol(.comma) }
            && [.symbol(.comma), .symbol(.closeParenthesis)].contains(tokens[min(place + 5, tokens.count - 1)].kind)
        let separator: Layout = isPlain ? .text(" ") : .hardLine
        var parts: [Layout] = []
        for number in 0..<3 {
            parts.append(try variable())
            if number < 2 { parts.append(Self.with(take(), next: separator)) }
        }
        if isNext(.comma) { drop() }
        if isPlain { return .group(.nest(indent, .concat(parts))) }
        return .concat([.nest(indent, .concat([.hardLine] + parts)), .hardLine])
    }

    private mutating func variable() throws(Diagnostic) -> Layout {
        let name = take()
        var head = [Layout.text(name.text), Self.trailing(name)]
        if isNext("is") {
            let word = Layout.group(.concat([.line, Self.with(take())]))
            head.append(.group(.nest(indent, .concat([word, .line, try sum()]))))
        }
        guard isNext("in") || isNext(.equal) else { return .concat([Self.leading(name)] + head) }
        head += [.line, Self.with(take())]
        let asked = Layout.nest(indent, .concat([.line, try expression()]))
        return .concat([Self.leading(name), .group(.concat([.group(.concat(head)), asked]))])
    }

    private mutating func condition() throws(Diagnostic) -> Layout {
        let word = take()
        let open = take()
        let first = Self.leading(tokens[place])
        tokens[place].leading = []
        let body = Layout.concat([Self.trailing(open), .line, first, .group(try expression())])
        let braces = Layout.group(.concat([.nest(indent, body), .line, Self.with(take())]))
        let whole = Layout.concat([
            .text(word.text), Self.trailing(word), .line, Self.leading(open), .text(open.text), braces,
        ])
        return .concat([Self.leading(word), .group(whole)])
    }
}

// MARK: - Tokens

extension PolicyWriter {
    /// The next token. The end is never taken: it has what no policy has.
    mutating func take() -> CommentedToken {
        let token = tokens[place]
        if place < tokens.count - 1 { place += 1 }
        return token
    }

    /// Leaves the next token out, but not its comments.
    mutating func drop() {
        let token = take()
        tokens[place].leading = token.leading + (token.trailing.map { [$0] } ?? []) + tokens[place].leading
    }

    func isNext(_ symbol: Token.Symbol) -> Bool { tokens[place].kind == .symbol(symbol) }
    func isNext(_ word: String) -> Bool { tokens[place].kind == .identifier(word) }
    var next: Token.Kind { tokens[place].kind }

    static func leading(_ token: CommentedToken) -> Layout {
        guard !token.leading.isEmpty else { return .empty }
        let lines = token.leading.map { Layout.text($0) }
        return .concat([.hardLine] + lines.flatMap { [$0, .hardLine] })
    }

    static func trailing(_ token: CommentedToken) -> Layout {
        token.trailing.map { .concat([.text(" "), .text($0), .hardLine]) } ?? .empty
    }

    /// A token with its comments; what comes next is not needed behind a comment, which ends its line.
    static func with(_ token: CommentedToken, next: Layout = .empty) -> Layout {
        let behind = token.trailing == nil ? next : trailing(token)
        return .concat([leading(token), .text(token.text), behind])
    }
}
