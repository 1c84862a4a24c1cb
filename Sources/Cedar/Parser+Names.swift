extension Parser {
    /// `N::T::"id"`
    mutating func entity() throws(Diagnostic) -> EntityUID {
        if isSlot { throw slotRefused }
        var components = [try component("an entity such as `Agent::\"name\"`")]
        while true {
            guard token.kind == .symbol(.path) else {
                throw expected("`::` and the entity's id in quotes")
            }
            try advance()
            if case .string(let id) = token.kind {
                try advance()
                return EntityUID(type: EntityType(components: components), id: id)
            }
            components.append(try component("the entity's id in quotes"))
        }
    }

    /// `N::T`
    mutating func entityType() throws(Diagnostic) -> EntityType {
        if isSlot { throw slotRefused }
        var components = [try component("an entity type")]
        while token.kind == .symbol(.path) {
            try advance()
            if case .string = token.kind { throw refused("`is` takes an entity type, not an entity") }
            components.append(try component("an entity type"))
        }
        return EntityType(components: components)
    }

    mutating func component(_ what: String) throws(Diagnostic) -> String {
        guard case .identifier(let word) = token.kind else { throw expected(what) }
        guard !Identifier.reserved.contains(word) else {
            throw refused("`\(word)` is reserved and names no entity type")
        }
        try advance()
        return word
    }
}

// MARK: - Tokens

extension Parser {
    mutating func advance() throws(Diagnostic) {
        end = token.range.end
        do {
            token = try lexer.next()
        } catch {
            isLost = true
            throw error
        }
    }

    mutating func take(_ symbol: Token.Symbol) throws(Diagnostic) {
        guard token.kind == .symbol(symbol) else { throw expected("`\(symbol.rawValue)`") }
        try advance()
    }

    /// Takes the symbol if it is next.
    mutating func skip(_ symbol: Token.Symbol) throws(Diagnostic) -> Bool {
        guard token.kind == .symbol(symbol) else { return false }
        try advance()
        return true
    }

    mutating func take(word: String) throws(Diagnostic) {
        guard isNext(word) else { throw expected("`\(word)`") }
        try advance()
    }

    func isNext(_ word: String) -> Bool { token.kind == .identifier(word) }

    func expected(_ what: String) -> Diagnostic {
        isSlot ? slotRefused : refused("expected \(what), found \(found)")
    }

    private var isSlot: Bool { if case .slot = token.kind { true } else { false } }

    var slotRefused: Diagnostic {
        refused("template slots are not supported in this version: \(found)")
    }

    func refused(_ message: String) -> Diagnostic { lexer.diagnostic(message, at: token.range) }

    /// The token at hand, for a message.
    var found: String {
        switch token.kind {
        case .end: return "the end of the text"
        case .string, .pattern: return "a string"
        case .number, .identifier, .slot, .symbol:
            let bytes = lexer.source[token.range.start.offset..<token.range.end.offset]
            return "`\(String(decoding: bytes.prefix(80), as: UTF8.self))`"
        }
    }
}
