extension Parser {
    static let maximumNesting = 100

    /// `when { … }` and `unless { … }`, as many as there are.
    mutating func conditions() throws(Diagnostic) -> [Condition] {
        var conditions: [Condition] = []
        while case .identifier(let word) = token.kind, let kind = Condition.Kind(rawValue: word) {
            try advance()
            try take(.openBrace)
            conditions.append(Condition(kind, try expression()))
            try take(.closeBrace)
        }
        return conditions
    }

    mutating func expression() throws(Diagnostic) -> Expression {
        nesting += 1
        defer { nesting -= 1 }
        guard nesting <= Self.maximumNesting else {
            throw refused("this expression is nested deeper than \(Self.maximumNesting)")
        }
        guard isNext("if") else { return try disjunction() }
        let start = token.range.start
        try advance()
        let test = try expression()
        try take(word: "then")
        let yes = try expression()
        try take(word: "else")
        return try node(.conditional(if: test, then: yes, else: try expression()), from: start)
    }

    private mutating func disjunction() throws(Diagnostic) -> Expression {
        let start = token.range.start
        var left = try conjunction()
        while try skip(.or) { left = try node(.or(left, try conjunction()), from: start) }
        return left
    }

    private mutating func conjunction() throws(Diagnostic) -> Expression {
        let start = token.range.start
        var left = try relation()
        while try skip(.and) { left = try node(.and(left, try relation()), from: start) }
        return left
    }

    /// The node that began at `start` and ends with the last token taken.
    private func node(_ kind: Expression.Kind, from start: SourcePosition) throws(Diagnostic) -> Expression {
        let expression = Expression(kind, range: SourceRange(start: start, end: end))
        guard expression.depth <= Expression.maximumDepth else {
            throw refused("this condition is too long: write it as several policies")
        }
        return expression
    }

}

// MARK: - Relations

extension Parser {
    private mutating func relation() throws(Diagnostic) -> Expression {
        let start = token.range.start
        let left = try sum()
        guard isRelation else { return left }
        let relation = try relation(of: left, from: start)
        guard !isRelation else { throw refused("relations do not chain: put one of them in brackets") }
        return relation
    }

    private var isRelation: Bool {
        switch token.kind {
        case .symbol(let symbol): Expression.BinaryOperator(relation: symbol) != nil
        case .identifier("in"), .identifier("has"), .identifier("like"), .identifier("is"): true
        default: false
        }
    }

    private mutating func relation(of left: Expression, from start: SourcePosition) throws(Diagnostic) -> Expression {
        let operation = token.kind
        try advance()
        switch operation {
        case .identifier("has"): return try node(.has(left, try attributePath()), from: start)
        case .identifier("like"): return try node(.like(left, try pattern()), from: start)
        case .identifier("is"):
            let type = try entityType()
            guard isNext("in") else { return try node(.isType(left, type, in: nil), from: start) }
            try advance()
            return try node(.isType(left, type, in: try sum()), from: start)
        case .symbol(let symbol):
            guard let operation = Expression.BinaryOperator(relation: symbol) else { throw expected("a relation") }
            return try node(.binary(operation, left, try sum()), from: start)
        default: return try node(.binary(.in, left, try sum()), from: start)
        }
    }

    /// `a`, `a.b.c` or `"a b"`.
    private mutating func attributePath() throws(Diagnostic) -> [Text] {
        if case .string(let name) = token.kind {
            try advance()
            return [Text(name)]
        }
        var names = [try attributeName(after: "has")]
        while try skip(.dot) {
            names.append(try attributeName(after: "."))
            guard names.count <= Expression.maximumDepth else { throw refused("this path of attributes is too long") }
        }
        return names
    }

    private mutating func attributeName(after what: String) throws(Diagnostic) -> Text {
        guard case .identifier(let name) = token.kind else {
            throw expected("the name of an attribute after `\(what)`")
        }
        guard !Identifier.reserved.contains(name) else {
            throw refused("`\(name)` is reserved: write an attribute of that name in quotes")
        }
        try advance()
        return Text(name)
    }

    private mutating func pattern() throws(Diagnostic) -> Pattern {
        let pattern: Pattern
        switch token.kind {
        case .string(let text): pattern = Pattern(text.utf8)
        case .pattern(let read): pattern = read
        default: throw expected("a pattern in quotes after `like`")
        }
        try advance()
        return pattern
    }
}

extension Expression.BinaryOperator {
    /// The relation that a symbol stands for.
    fileprivate init?(relation symbol: Token.Symbol) {
        switch symbol {
        case .equal: self = .equal
        case .notEqual: self = .notEqual
        case .less: self = .less
        case .lessOrEqual: self = .lessOrEqual
        case .greater: self = .greater
        case .greaterOrEqual: self = .greaterOrEqual
        default: return nil
        }
    }
}

// MARK: - Arithmetic

extension Parser {
    private mutating func sum() throws(Diagnostic) -> Expression {
        let start = token.range.start
        var left = try product()
        while true {
            if try skip(.plus) {
                left = try node(.binary(.plus, left, try product()), from: start)
            } else if try skip(.minus) {
                left = try node(.binary(.minus, left, try product()), from: start)
            } else {
                return left
            }
        }
    }

    private mutating func product() throws(Diagnostic) -> Expression {
        let start = token.range.start
        var left = try unary()
        while try skip(.times) { left = try node(.binary(.times, left, try unary()), from: start) }
        return left
    }

    /// At most four signs of one kind, and no mixture.
    private mutating func unary() throws(Diagnostic) -> Expression {
        guard case .symbol(let sign) = token.kind, sign == .not || sign == .minus else { return try member() }
        var starts: [SourcePosition] = []
        while token.kind == .symbol(sign) {
            guard starts.count < 4 else { throw refused("more than four `\(sign.rawValue)` in a row") }
            starts.append(token.range.start)
            try advance()
        }
        var operand: Expression
        if sign == .minus, case .number(let magnitude) = token.kind, let start = starts.last {
            // The sign belongs to the number: the smallest one has no positive counterpart.
            (operand, starts) = (try number(magnitude, negativeFrom: start), starts.dropLast())
        } else {
            operand = try member()
        }
        for start in starts.reversed() {
            operand = try node(sign == .not ? .not(operand) : .negate(operand), from: start)
        }
        return operand
    }

    /// A number behind a minus sign, unless something is asked of the number itself.
    private mutating func number(
        _ magnitude: UInt64?, negativeFrom start: SourcePosition
    ) throws(Diagnostic) -> Expression {
        let literal = token
        try advance()
        if token.kind == .symbol(.dot) || token.kind == .symbol(.openBracket) {
            let operand = try accesses(of: try number(literal), from: literal.range.start)
            return try node(.negate(operand), from: start)
        }
        guard let magnitude, magnitude <= Int64.min.magnitude else { throw tooLarge(literal) }
        return try node(.literal(.long(Int64(truncatingIfNeeded: 0 &- magnitude))), from: start)
    }

    private func number(_ literal: Token) throws(Diagnostic) -> Expression {
        guard case .number(let number?) = literal.kind, let value = Int64(exactly: number) else {
            throw tooLarge(literal)
        }
        return Expression(.literal(.long(value)), range: literal.range)
    }

    private func tooLarge(_ literal: Token) -> Diagnostic {
        lexer.diagnostic("this is no whole number that fits into 64 bits", at: literal.range)
    }
}

// MARK: - Members

extension Parser {
    private mutating func member() throws(Diagnostic) -> Expression {
        let start = token.range.start
        return try accesses(of: try primary(), from: start)
    }

    private mutating func accesses(
        of expression: Expression, from start: SourcePosition
    ) throws(Diagnostic) -> Expression {
        var expression = expression
        while true {
            if try skip(.dot) {
                let name = token
                let attribute = try attributeName(after: ".")
                guard try skip(.openParenthesis) else {
                    expression = try node(.attribute(expression, attribute), from: start)
                    continue
                }
                let arguments = try list(until: .closeParenthesis)
                expression = try node(try method(name, of: expression, arguments), from: start)
            } else if try skip(.openBracket) {
                guard case .string(let attribute) = token.kind else { throw expected("an attribute's name in quotes") }
                try advance()
                try take(.closeBracket)
                expression = try node(.attribute(expression, Text(attribute)), from: start)
            } else {
                return expression
            }
        }
    }

    private func method(
        _ name: Token, of receiver: Expression, _ arguments: [Expression]
    ) throws(Diagnostic) -> Expression.Kind {
        guard case .identifier(let word) = name.kind else { throw expected("the name of a method") }
        switch word {
        case "isEmpty":
            try require(0, arguments, of: name)
            return .isEmpty(receiver)
        case "contains", "containsAll", "containsAny", "hasTag", "getTag":
            guard let operation = Expression.BinaryOperator(rawValue: word) else { break }
            try require(1, arguments, of: name)
            return .binary(operation, receiver, arguments[0])
        default:
            guard let function = ExtensionFunction(rawValue: word) else { break }
            guard !function.isConstructor else {
                throw lexer.diagnostic("`\(word)` is a function and no method: write `\(word)(…)`", at: name.range)
            }
            return .call(function, [receiver] + arguments)
        }
        throw lexer.diagnostic("there is no method `\(word)`", at: name.range)
    }

    private func require(_ count: Int, _ arguments: [Expression], of name: Token) throws(Diagnostic) {
        guard arguments.count != count else { return }
        let wanted = count == 0 ? "no argument" : "one argument"
        throw lexer.diagnostic("this method takes \(wanted), not \(arguments.count)", at: name.range)
    }

    /// What stands between brackets, with commas; one may stand behind the last.
    private mutating func list(until end: Token.Symbol) throws(Diagnostic) -> [Expression] {
        var expressions: [Expression] = []
        while token.kind != .symbol(end) {
            expressions.append(try expression())
            guard try skip(.comma) else { break }
        }
        try take(end)
        return expressions
    }
}

// MARK: - Primaries

extension Parser {
    private mutating func primary() throws(Diagnostic) -> Expression {
        let first = token
        let start = first.range.start
        switch first.kind {
        case .string(let text):
            try advance()
            return try node(.literal(.string(Text(text))), from: start)
        case .pattern: throw refused("`\\*` is an escape of patterns, which only `like` takes")
        case .number:
            try advance()
            return try number(first)
        case .symbol(.openParenthesis):
            try advance()
            let inner = try expression()
            try take(.closeParenthesis)
            return inner
        case .symbol(.openBracket):
            try advance()
            return try node(.set(try list(until: .closeBracket)), from: start)
        case .symbol(.openBrace):
            try advance()
            return try node(.record(try fields()), from: start)
        case .identifier(let word): return try named(word)
        case .slot: throw refused("a template's slot can stand in a scope only")
        default: throw expected("an expression")
        }
    }

    /// A variable, `true`, `false`, a function, or an entity.
    private mutating func named(_ word: String) throws(Diagnostic) -> Expression {
        let first = token
        let start = first.range.start
        if word == "if" { throw refused("`if` needs brackets here") }
        if word == "true" || word == "false" {
            try advance()
            return try node(.literal(.bool(word == "true")), from: start)
        }
        var ahead = lexer
        let next = try ahead.next().kind
        if next == .symbol(.path) { return try node(.literal(.entity(try entity())), from: start) }
        guard !Identifier.reserved.contains(word) else { throw expected("an expression") }
        try advance()
        if next == .symbol(.openParenthesis) {
            let function = try constructor(word, at: first)
            try advance()
            return try node(.call(function, try list(until: .closeParenthesis)), from: start)
        }
        guard let variable = Expression.Variable(rawValue: word) else {
            throw lexer.diagnostic(
                "there is no variable `\(word)`, only `principal`, `action`, `resource` and `context`", at: first.range)
        }
        return try node(.variable(variable), from: start)
    }

    private func constructor(_ word: String, at name: Token) throws(Diagnostic) -> ExtensionFunction {
        let methods: Set<String> = ["contains", "containsAll", "containsAny", "isEmpty", "hasTag", "getTag"]
        if let function = ExtensionFunction(rawValue: word), function.isConstructor { return function }
        guard ExtensionFunction(rawValue: word) == nil, !methods.contains(word) else {
            throw lexer.diagnostic("`\(word)` is a method and no function: write `value.\(word)(…)`", at: name.range)
        }
        throw lexer.diagnostic("there is no function `\(word)`", at: name.range)
    }

    /// `{` is taken already.
    private mutating func fields() throws(Diagnostic) -> [Expression.Field] {
        var fields: [Expression.Field] = []
        var keys: Set<Text> = []
        while token.kind != .symbol(.closeBrace) {
            let name = token
            let key = try fieldName()
            guard keys.insert(key).inserted else {
                throw lexer.diagnostic("a second `\(RecordKey.printed(key))` in this record", at: name.range)
            }
            try take(.colon)
            fields.append(Expression.Field(key, try expression()))
            guard try skip(.comma) else { break }
        }
        try take(.closeBrace)
        return fields
    }

    private mutating func fieldName() throws(Diagnostic) -> Text {
        guard case .string(let key) = token.kind else { return try attributeName(after: "{") }
        try advance()
        return Text(key)
    }
}
