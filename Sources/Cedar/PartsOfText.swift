/// What stands in a policy text, read by itself.
extension EntityUID {
    /// `N::T::"id"`
    public init(parsing text: String) throws(ParseError) {
        self = try Parser.whole(text) { parser throws(Diagnostic) in try parser.entity() }
    }
}

extension EntityType {
    /// `N::T`
    public init(parsing text: String) throws(ParseError) {
        self = try Parser.whole(text) { parser throws(Diagnostic) in try parser.entityType() }
    }
}

extension Expression {
    /// What may stand between the braces of `when { … }`.
    public convenience init(parsing text: String) throws(ParseError) {
        let expression = try Parser.whole(text) { parser throws(Diagnostic) in try parser.expression() }
        self.init(expression.kind, range: expression.range)
    }

    /// What it evaluates to for a request.
    public func value(for request: Request, in entities: Entities) throws(EvaluationError) -> Value {
        try Evaluator(request: request, entities: entities).value(of: self)
    }
}

extension Diagnostic {
    /// A mistake that was found after the text had been read, shown with its line.
    public init(_ message: String, at range: SourceRange, in text: String) {
        self.init(message: message, range: range, excerpt: Excerpt(of: range, in: Array(text.utf8)))
    }
}

extension Parser {
    /// Reads the whole of a text as one thing.
    fileprivate static func whole<Part>(
        _ text: String, _ read: (inout Parser) throws(Diagnostic) -> Part
    ) throws(ParseError) -> Part {
        do throws(Diagnostic) {
            let bytes = Array(text.utf8.prefix(PolicySet.maximumTextBytes + 1))
            var parser = try Parser(Lexer(bytes))
            guard bytes.count <= PolicySet.maximumTextBytes else {
                throw parser.refused("the text is longer than \(PolicySet.maximumTextBytes) bytes")
            }
            let part = try read(&parser)
            guard parser.token.kind == .end else { throw parser.expected("the end of the text") }
            return part
        } catch { throw ParseError(diagnostics: [error]) }
    }
}
