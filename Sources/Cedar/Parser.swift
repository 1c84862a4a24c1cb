/// Reads the policies of one text: here the text, each policy and its scope, elsewhere conditions and names.
struct Parser {
    var lexer: Lexer
    var token: Token
    /// Where the last token taken ended.
    var end: SourcePosition
    /// How many expressions we are inside of.
    var nesting = 0
    /// The lexer met something that is no token; what follows cannot be told apart from the inside of a string.
    var isLost = false
    private var naming = PolicyNaming.annotation
    private var allowsTemplates = false

    init(_ lexer: Lexer) throws(Diagnostic) {
        self.lexer = lexer
        token = try self.lexer.next()
        end = token.range.start
    }

    /// All policies and templates of a text, or the first mistake of each that has one.
    static func statements(
        of text: String, naming: PolicyNaming, allowingTemplates: Bool
    ) throws(ParseError) -> [Statement] {
        guard text.utf8.count <= PolicySet.maximumTextBytes else {
            let origin = SourcePosition(line: 1, column: 1, offset: 0)
            let message = "the text is longer than \(PolicySet.maximumTextBytes) bytes"
            let lexer = Lexer([])
            throw ParseError(diagnostics: [lexer.diagnostic(message, at: SourceRange(start: origin, end: origin))])
        }
        var diagnostics: [Diagnostic] = []
        var statements: [Statement] = []
        do throws(Diagnostic) {
            var parser = try Parser(Lexer(Array(text.utf8)))
            (parser.naming, parser.allowsTemplates) = (naming, allowingTemplates)
            statements = parser.statements(&diagnostics)
        } catch {
            diagnostics.append(error)
        }
        guard diagnostics.isEmpty else { throw ParseError(diagnostics: diagnostics) }
        return statements
    }

    private mutating func statements(_ diagnostics: inout [Diagnostic]) -> [Statement] {
        var statements: [Statement] = []
        var firstUse: [String: SourcePosition] = [:]
        var position = 0
        while token.kind != .end, diagnostics.count < PolicySet.maximumDiagnostics {
            do throws(Diagnostic) {
                let policy = try statement(at: position)
                let named = policy.annotations.first { $0.key == "id" }?.range ?? policy.range
                if position == PolicySet.maximumPolicies {
                    diagnostics.append(lexer.diagnostic("more than \(position) policies in one text", at: policy.range))
                    return []
                }
                if let first = firstUse.updateValue(named.start, forKey: policy.id) {
                    let message = "the policy id \(StringLiteral.quoted(policy.id)) is taken by the policy at \(first)"
                    diagnostics.append(lexer.diagnostic(message, at: named))
                }
                statements.append(policy)
            } catch {
                diagnostics.append(error)
                do throws(Diagnostic) { try skipPolicy() } catch { return [] }
                if isLost { return [] }
            }
            position += 1
        }
        return statements
    }

    /// Goes on behind the next semicolon.
    private mutating func skipPolicy() throws(Diagnostic) {
        while !isLost, token.kind != .end, token.kind != .symbol(.semicolon) { try advance() }
        if !isLost, token.kind != .end { try advance() }
    }
}

/// A policy or a template as it is read: a policy is a template without slots.
typealias Statement = Template

extension Template {
    /// The policy, if there is no slot.
    var policy: Policy? {
        guard case .fixed(let principal) = principal, case .fixed(let resource) = resource else { return nil }
        return Policy(
            id: id, annotations: annotations, effect: effect,
            scope: Scope(principal: principal, action: action, resource: resource), conditions: conditions,
            range: range)
    }
}

// MARK: - A policy

extension Parser {
    private mutating func statement(at position: Int) throws(Diagnostic) -> Statement {
        let start = token.range.start
        let annotations = try annotations()
        let effect = try effect()
        let (principal, action, resource) = try scope()
        let conditions = try conditions()
        // The mark stands where the semicolon is missing, not at the next policy.
        guard token.kind == .symbol(.semicolon) else {
            let next = SourcePosition(line: end.line, column: end.column + 1, offset: end.offset + 1)
            throw lexer.diagnostic(
                "expected `;` after the policy, found \(found)", at: SourceRange(start: end, end: next))
        }
        let range = SourceRange(start: start, end: token.range.end)
        let named = naming == .annotation ? annotations.first { $0.key == "id" }?.value : nil
        try advance()
        return Statement(
            id: named ?? "policy\(position)", annotations: annotations, effect: effect, principal: principal,
            action: action, resource: resource, conditions: conditions, range: range)
    }

    private mutating func annotations() throws(Diagnostic) -> [Annotation] {
        var annotations: [Annotation] = []
        var keys: Set<String> = []
        while token.kind == .symbol(.at) {
            let annotation = try annotation()
            guard keys.insert(annotation.key).inserted else {
                throw lexer.diagnostic("a second annotation `@\(annotation.key)`", at: annotation.range)
            }
            if naming == .annotation, annotation.key == "id", annotation.value.isEmpty {
                throw lexer.diagnostic("`@id` needs a name that is not empty", at: annotation.range)
            }
            annotations.append(annotation)
        }
        return annotations
    }

    /// `@key("value")`, or `@key` for an empty value.
    private mutating func annotation() throws(Diagnostic) -> Annotation {
        let start = token.range.start
        try take(.at)
        guard case .identifier(let key) = token.kind else { throw expected("the name of an annotation after `@`") }
        try advance()
        var (value, isBare) = ("", true)
        if token.kind == .symbol(.openParenthesis) {
            isBare = false
            try advance()
            guard case .string(let string) = token.kind else { throw expected("a string as the annotation's value") }
            value = string
            try advance()
            try take(.closeParenthesis)
        }
        return Annotation(key: key, value: value, range: SourceRange(start: start, end: end), isBare: isBare)
    }

    private mutating func effect() throws(Diagnostic) -> Effect {
        guard case .identifier(let word) = token.kind, let effect = Effect(rawValue: word) else {
            throw expected("`permit` or `forbid`")
        }
        try advance()
        return effect
    }
}

// MARK: - Its scope

extension Parser {
    private mutating func scope() throws(Diagnostic) -> (SlotConstraint, ActionConstraint, SlotConstraint) {
        try take(.openParenthesis)
        let principal = try entityConstraint(of: "principal")
        try take(.comma)
        let action = try actionConstraint()
        try take(.comma)
        let resource = try entityConstraint(of: "resource")
        _ = try skip(.comma)
        try take(.closeParenthesis)
        return (principal, action, resource)
    }

    private mutating func entityConstraint(of variable: String) throws(Diagnostic) -> SlotConstraint {
        try take(word: variable)
        if token.kind == .symbol(.equal) {
            try advance()
            let entity = try entityOrSlot(of: variable)
            if isNext("is") { throw refused("`is` cannot go with `==`: an entity literal already has its type") }
            return entity.map { .fixed(.equal($0)) } ?? .equal
        }
        if isNext("in") {
            try advance()
            if token.kind == .symbol(.openBracket) { throw refused("only `action` can be `in` a list") }
            let entity = try entityOrSlot(of: variable)
            if isNext("is") { throw refused("`is` comes before `in`: write `\(variable) is T in E`") }
            return entity.map { .fixed(.within($0)) } ?? .within
        }
        guard isNext("is") else { return .fixed(.any) }
        try advance()
        let type = try entityType()
        if token.kind == .symbol(.equal) {
            throw refused("`is` cannot go with `==`: an entity literal already has its type")
        }
        guard isNext("in") else { return .fixed(.isType(type)) }
        try advance()
        return try entityOrSlot(of: variable).map { .fixed(.isTypeWithin(type, $0)) } ?? .isTypeWithin(type)
    }

    /// Nil for the slot of this variable, where templates may stand.
    private mutating func entityOrSlot(of variable: String) throws(Diagnostic) -> EntityUID? {
        try unwrapped { parser throws(Diagnostic) in
            guard parser.allowsTemplates, case .slot(let name) = parser.token.kind else { return try parser.entity() }
            guard name == variable else { throw parser.refused("expected `?\(variable)`, found `?\(name)`") }
            try parser.advance()
            return nil
        }
    }

    /// What may stand in parentheses, in any number of them.
    private mutating func unwrapped<Inner>(
        _ inner: (inout Parser) throws(Diagnostic) -> Inner
    ) throws(Diagnostic) -> Inner {
        var open = 0
        while try skip(.openParenthesis) { open += 1 }
        let read = try inner(&self)
        for _ in 0..<open { try take(.closeParenthesis) }
        return read
    }

    private mutating func actionConstraint() throws(Diagnostic) -> ActionConstraint {
        try take(word: "action")
        if token.kind == .symbol(.equal) {
            try advance()
            return .equal(try unwrapped { parser throws(Diagnostic) in try parser.action() })
        }
        if isNext("is") { throw refused("`action` cannot be tested with `is`") }
        guard isNext("in") else { return .any }
        try advance()
        return .within(try unwrapped { parser throws(Diagnostic) in try parser.actions() })
    }

    /// One, or a list of them.
    private mutating func actions() throws(Diagnostic) -> [EntityUID] {
        guard try skip(.openBracket) else { return [try action()] }
        var actions: [EntityUID] = []
        while token.kind != .symbol(.closeBracket) {
            actions.append(try unwrapped { parser throws(Diagnostic) in try parser.action() })
            guard try skip(.comma) else { break }
        }
        try take(.closeBracket)
        return actions
    }

    private mutating func action() throws(Diagnostic) -> EntityUID {
        let start = token.range.start
        let action = try entity()
        guard action.type.basename == "Action" else {
            let range = SourceRange(start: start, end: end)
            throw lexer.diagnostic("an action is an entity of type `Action`, not `\(action.type)`", at: range)
        }
        return action
    }
}
