/// Expressions, each rule of the grammar as one function. Cedar docs, _Grammar specification_.
extension PolicyWriter {
    mutating func expression() throws(Diagnostic) -> Layout {
        guard isNext("if") else { return try chain(.or) { writer throws(Diagnostic) in try writer.conjunction() } }
        var parts: [Layout] = []
        for number in 0..<3 {
            if number > 0 { parts.append(.line) }
            parts.append(Self.with(take()))
            parts.append(.nest(indent, .concat([.line, try expression()])))
        }
        return .group(.concat(parts))
    }

    private mutating func conjunction() throws(Diagnostic) -> Layout {
        try chain(.and) { writer throws(Diagnostic) in try writer.relation() }
    }

    /// Operands with an operator behind each but the last, which breaks the line if any does.
    private mutating func chain(
        _ symbol: Token.Symbol, _ operand: (inout PolicyWriter) throws(Diagnostic) -> Layout
    ) throws(Diagnostic) -> Layout {
        var parts = [try operand(&self)]
        while isNext(symbol) {
            parts += [.text(" "), Self.with(take(), next: .line)]
            parts.append(try operand(&self))
        }
        return .concat(parts)
    }

    private mutating func relation() throws(Diagnostic) -> Layout {
        let left = try sum()
        switch next {
        case .identifier("has"), .identifier("like"):
            let word = Self.with(take())
            return .group(.concat([left, .line, word, .line, .nest(indent, try sum())]))
        case .identifier("is"):
            var parts = [left, .text(" "), Self.with(take()), .text(" "), .nest(indent, try sum())]
            if isNext("in") { parts += [.line, Self.with(take()), .text(" "), .nest(indent, try sum())] }
            return .group(.concat(parts))
        case .identifier("in"), .symbol(.equal), .symbol(.notEqual), .symbol(.less), .symbol(.lessOrEqual),
            .symbol(.greater), .symbol(.greaterOrEqual):
            return .concat([left, .text(" "), Self.with(take()), .text(" "), try sum()])
        default: return left
        }
    }

    mutating func sum() throws(Diagnostic) -> Layout {
        try arithmetic([.plus, .minus]) { writer throws(Diagnostic) in
            try writer.arithmetic([.times]) { writer throws(Diagnostic) in try writer.unary() }
        }
    }

    private mutating func arithmetic(
        _ symbols: [Token.Symbol], _ operand: (inout PolicyWriter) throws(Diagnostic) -> Layout
    ) throws(Diagnostic) -> Layout {
        var parts = [try operand(&self)]
        while symbols.contains(where: isNext) {
            parts += [.text(" "), Self.with(take()), .line]
            parts.append(try operand(&self))
        }
        return .group(.concat(parts))
    }

    private mutating func unary() throws(Diagnostic) -> Layout {
        var parts: [Layout] = []
        while isNext(.not) || isNext(.minus) { parts.append(Self.with(take())) }
        parts.append(try member())
        return .concat(parts)
    }

    private mutating func member() throws(Diagnostic) -> Layout {
        let item = try primary()
        var accesses: [Layout] = []
        while true {
            if isNext(.dot) {
                accesses.append(.concat([Self.with(take()), Self.with(take())]))
            } else if isNext(.openParenthesis) {
                accesses.append(try arguments())
            } else if isNext(.openBracket) {
                accesses.append(.concat([Self.with(take()), try expression(), Self.with(take())]))
            } else {
                break
            }
        }
        let separated = accesses.enumerated().flatMap { $0.offset == 0 ? [$0.element] : [.softLine, $0.element] }
        return .group(.concat([item, .nest(indent, .concat(separated))]))
    }

    private mutating func arguments() throws(Diagnostic) -> Layout {
        let open = Self.with(take())
        if isNext(.closeParenthesis) { return .concat([open, Self.with(take())]) }
        let list = try list(until: .closeParenthesis)
        return .concat([open, .nest(indent, .concat([.softLine, list])), .softLine, Self.with(take())])
    }

    /// What stands between brackets, with commas, but not behind the last.
    private mutating func list(
        until end: Token.Symbol,
        _ element: (inout PolicyWriter) throws(Diagnostic) -> Layout = { writer throws(Diagnostic) in
            try writer.expression()
        }
    ) throws(Diagnostic) -> Layout {
        var parts: [Layout] = []
        while !isNext(end) {
            parts.append(try element(&self))
            guard isNext(.comma) else { break }
            if isBeforeLast(end) { drop() } else { parts += [Self.with(take()), .line] }
        }
        return .concat(parts)
    }

    /// Whether the comma at hand has nothing behind it.
    private func isBeforeLast(_ end: Token.Symbol) -> Bool {
        var ahead = self
        _ = ahead.take()
        return ahead.isNext(end)
    }

    private mutating func primary() throws(Diagnostic) -> Layout {
        switch next {
        case .symbol(.openParenthesis):
            return .group(.concat([Self.with(take()), .nest(1, try expression()), Self.with(take())]))
        case .symbol(.openBracket):
            return .concat([
                Self.with(take()), .nest(1, try list(until: .closeBracket)), Self.with(take()),
            ])
        case .symbol(.openBrace): return try record()
        case .identifier:
            var parts = [Self.with(take())]
            while isNext(.path) { parts += [Self.with(take()), Self.with(take())] }
            return .concat(parts)
        default: return Self.with(take())
        }
    }

    private mutating func record() throws(Diagnostic) -> Layout {
        let open = Self.with(take())
        if isNext(.closeBrace) { return .concat([open, Self.with(take())]) }
        let fields = try list(until: .closeBrace) { writer throws(Diagnostic) in
            let key = Self.with(writer.take())
            return .concat([key, Self.with(writer.take()), .text(" "), try writer.expression()])
        }
        // Comments at the braces break no line within them.
        let inner = Layout.group(.concat([.nest(indent, .concat([.line, fields])), .line]))
        return .concat([open, inner, Self.with(take())])
    }
}
