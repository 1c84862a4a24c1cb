/// Reads the Cedar schema format.
///
///     [annotation…] namespace N { … }
///     entity E, F in [G] = { attribute?: Type } tags Type;     entity E enum ["a", "b"];
///     action "a", b in [c] appliesTo { principal: [E], resource: [F], context: {} };
///     type T = Type;
///
/// Cedar docs, _Schema grammar_.
extension SchemaFragment {
    public init(parsing text: String) throws(SchemaError) {
        do throws(Diagnostic) {
            guard text.utf8.count <= Self.maximumTextBytes else {
                let origin = SourcePosition(line: 1, column: 1, offset: 0)
                let message = "the text is longer than \(Self.maximumTextBytes) bytes"
                throw Lexer([]).diagnostic(message, at: SourceRange(start: origin, end: origin))
            }
            var parser = try Parser(Lexer(Array(text.utf8), dialect: .schema))
            self = try parser.schema()
        } catch {
            throw .syntax(ParseError(diagnostics: [error]))
        }
    }
}

extension Parser {
    fileprivate mutating func schema() throws(Diagnostic) -> SchemaFragment {
        var schema = SchemaFragment()
        while token.kind != .end {
            let annotations = try schemaAnnotations()
            guard isNext("namespace") else {
                try declaration(annotations, into: &schema.namespaces["", default: SchemaNamespace()])
                continue
            }
            try advance()
            let name = token
            let path = try path()
            guard !path.hasPrefix("__cedar::"), path != "__cedar", EntityType(path) != nil else {
                throw lexer.diagnostic("`__cedar` is reserved and names no namespace", at: name.range)
            }
            guard schema.namespaces[path] == nil else {
                throw lexer.diagnostic("the namespace `\(path)` is opened twice", at: name.range)
            }
            try take(.openBrace)
            var namespace = SchemaNamespace()
            namespace.annotations = annotations
            while token.kind != .symbol(.closeBrace) {
                try declaration(try schemaAnnotations(), into: &namespace)
            }
            try take(.closeBrace)
            schema.namespaces[path] = namespace
        }
        return schema
    }

    /// Each key at most once, in the order of their keys.
    private mutating func schemaAnnotations() throws(Diagnostic) -> [SchemaAnnotation] {
        var annotations: [SchemaAnnotation] = []
        while try skip(.at) {
            let name = token
            guard case .identifier(let key) = name.kind else { throw expected("the name of an annotation after `@`") }
            try advance()
            var value: Text?
            if try skip(.openParenthesis) {
                value = try text("a string as the annotation's value")
                try take(.closeParenthesis)
            }
            guard !annotations.contains(where: { $0.key == key }) else {
                throw lexer.diagnostic("a second annotation `@\(key)`", at: name.range)
            }
            annotations.append(SchemaAnnotation(key: key, value: value))
        }
        return annotations.sorted { $0.key < $1.key }
    }

    private mutating func declaration(
        _ annotations: [SchemaAnnotation], into namespace: inout SchemaNamespace
    ) throws(Diagnostic) {
        guard case .identifier(let word) = token.kind else { throw expected("a declaration") }
        switch word {
        case "entity": try entityTypes(annotations, into: &namespace)
        case "action": try actions(annotations, into: &namespace)
        case "type": try commonType(annotations, into: &namespace)
        default: throw expected("`entity`, `action`, `type` or `namespace`")
        }
    }

    private mutating func commonType(
        _ annotations: [SchemaAnnotation], into namespace: inout SchemaNamespace
    ) throws(Diagnostic) {
        try advance()
        let name = token
        let word = try declaredName()
        guard !SchemaNames.keywords.contains(word) else {
            throw lexer.diagnostic("`\(word)` is a word of the schema format and names no type", at: name.range)
        }
        try take(.assign)
        let declared = CommonTypeDeclaration(annotations: annotations, type: try type())
        try take(.semicolon)
        guard namespace.commonTypes.updateValue(declared, forKey: word) == nil else { throw twice(word, at: name) }
    }
}

// MARK: - Entities

extension Parser {
    private mutating func entityTypes(
        _ annotations: [SchemaAnnotation], into namespace: inout SchemaNamespace
    ) throws(Diagnostic) {
        try advance()
        var names: [(Token, String)] = []
        repeat { names.append((token, try declaredName())) } while try skip(.comma)
        let kind: EntityTypeDeclaration.Kind
        if isNext("enum") {
            try advance()
            try take(.openBracket)
            var ids: [Text] = []
            repeat { ids.append(try text("the id of an entity in quotes")) } while try skip(.comma)
            try take(.closeBracket)
            kind = .enumerated(ids)
        } else {
            kind = try standardEntity()
        }
        try take(.semicolon)
        for (token, name) in names {
            let declared = EntityTypeDeclaration(annotations: annotations, kind: kind)
            guard namespace.entityTypes.updateValue(declared, forKey: name) == nil else { throw twice(name, at: token) }
        }
    }

    private mutating func standardEntity() throws(Diagnostic) -> EntityTypeDeclaration.Kind {
        var parents: [String] = []
        if isNext("in") {
            try advance()
            parents = try entityTypeList()
        }
        var shape = SchemaType.empty
        let assigned = try skip(.assign)
        if assigned || token.kind == .symbol(.openBrace) { shape = try record() }
        var tags: SchemaType?
        if isNext("tags") {
            try advance()
            tags = try type()
        }
        return .standard(parents: parents, shape: shape, tags: tags)
    }

    /// One, or any number in brackets.
    private mutating func entityTypeList() throws(Diagnostic) -> [String] {
        guard try skip(.openBracket) else { return [try path()] }
        var types: [String] = []
        if token.kind != .symbol(.closeBracket) {
            repeat { types.append(try path()) } while try skip(.comma)
        }
        try take(.closeBracket)
        return types
    }
}

// MARK: - Actions

extension Parser {
    private mutating func actions(
        _ annotations: [SchemaAnnotation], into namespace: inout SchemaNamespace
    ) throws(Diagnostic) {
        try advance()
        var names: [(Token, Text)] = []
        repeat { names.append((token, try name("the name of an action"))) } while try skip(.comma)
        var groups: [ActionDeclaration.Group]?
        if isNext("in") {
            try advance()
            groups = try actionGroups()
        }
        // Without `appliesTo` an action applies to nothing, which JSON says by empty lists.
        var application = ActionDeclaration.Application(principals: [], resources: [], context: .empty)
        if isNext("appliesTo") {
            try advance()
            application = try self.application()
        }
        if isNext("attributes") {
            try advance()
            try take(.openBrace)
            try take(.closeBrace)
        }
        try take(.semicolon)
        for (token, name) in names {
            let declared = ActionDeclaration(annotations: annotations, groups: groups, application: application)
            guard namespace.actions.updateValue(declared, forKey: name) == nil else {
                throw twice(name.string, at: token)
            }
        }
    }

    /// One, or several in brackets.
    private mutating func actionGroups() throws(Diagnostic) -> [ActionDeclaration.Group] {
        guard try skip(.openBracket) else { return [try actionGroup()] }
        var groups: [ActionDeclaration.Group] = []
        repeat { groups.append(try actionGroup()) } while try skip(.comma)
        try take(.closeBracket)
        return groups
    }

    /// `a`, `"a"` or `N::Action::"a"`.
    private mutating func actionGroup() throws(Diagnostic) -> ActionDeclaration.Group {
        if case .string = token.kind { return .init(type: nil, id: try text("an action")) }
        var path = try identifier("an action")
        guard token.kind == .symbol(.path) else { return .init(type: nil, id: Text(path)) }
        while try skip(.path) {
            if case .string = token.kind { return .init(type: path, id: try text("an action")) }
            path += "::" + (try identifier("an action in quotes"))
        }
        throw expected("an action in quotes")
    }

    private mutating func application() throws(Diagnostic) -> ActionDeclaration.Application {
        let start = token
        try take(.openBrace)
        var (principals, resources): ([String]?, [String]?)
        var context: SchemaType?
        repeat {
            let part = token
            guard case .identifier(let word) = part.kind else { break }
            try advance()
            try take(.colon)
            switch word {
            case "principal" where principals == nil: principals = try appliesTo(word)
            case "resource" where resources == nil: resources = try appliesTo(word)
            case "context" where context == nil:
                context = token.kind == .symbol(.openBrace) ? try record() : .common(try path())
            case "principal", "resource", "context":
                throw lexer.diagnostic("a second `\(word)` of this action", at: part.range)
            default: throw lexer.diagnostic("expected `principal`, `resource` or `context`", at: part.range)
            }
        } while try skip(.comma)
        try take(.closeBrace)
        guard let principals else { throw lexer.diagnostic("`principal` is missing here", at: start.range) }
        guard let resources else { throw lexer.diagnostic("`resource` is missing here", at: start.range) }
        return .init(principals: principals, resources: resources, context: context ?? .empty)
    }

    private mutating func appliesTo(_ word: String) throws(Diagnostic) -> [String] {
        let start = token
        let types = try entityTypeList()
        guard !types.isEmpty else {
            throw lexer.diagnostic("an action that applies to no `\(word)` has no `appliesTo`", at: start.range)
        }
        return types
    }
}

// MARK: - Types

extension Parser {
    private mutating func type() throws(Diagnostic) -> SchemaType {
        nesting += 1
        defer { nesting -= 1 }
        guard nesting <= Self.maximumNesting else {
            throw refused("this type is nested deeper than \(Self.maximumNesting)")
        }
        if token.kind == .symbol(.openBrace) { return try record() }
        if isNext("Set") {
            var ahead = lexer
            if try ahead.next().kind == .symbol(.less) {
                try advance()
                try advance()
                let element = try type()
                try take(.greater)
                return .set(element)
            }
        }
        return .named(try path())
    }

    private mutating func record() throws(Diagnostic) -> SchemaType {
        try take(.openBrace)
        var attributes: [Text: SchemaAttribute] = [:]
        while token.kind != .symbol(.closeBrace) {
            let annotations = try schemaAnnotations()
            let name = try name("the name of an attribute")
            let isOptional = try skip(.question)
            try take(.colon)
            // The last of several declarations of one attribute counts, as in the reference.
            attributes[name] = SchemaAttribute(
                annotations: annotations, type: try type(), isRequired: !isOptional)
            guard try skip(.comma) else { break }
        }
        try take(.closeBrace)
        return .record(attributes, open: false)
    }

    /// `N::T`, in which `__cedar` may stand.
    private mutating func path() throws(Diagnostic) -> String {
        var path = try identifier("a type")
        while try skip(.path) { path += "::" + (try identifier("a type")) }
        return path
    }

    private mutating func declaredName() throws(Diagnostic) -> String {
        let token = token
        let name = try identifier("a name")
        guard name != "__cedar" else {
            throw lexer.diagnostic("`__cedar` is reserved and names no type", at: token.range)
        }
        return name
    }

    /// An identifier, or any string in quotes.
    private mutating func name(_ what: String) throws(Diagnostic) -> Text {
        if case .string = token.kind { return try text(what) }
        return Text(try identifier(what))
    }

    private mutating func identifier(_ what: String) throws(Diagnostic) -> String {
        guard case .identifier(let word) = token.kind else { throw expected(what) }
        guard word == "__cedar" || !Identifier.reserved.contains(word) else {
            throw refused("`\(word)` is reserved and cannot be a name")
        }
        try advance()
        return word
    }

    private mutating func text(_ what: String) throws(Diagnostic) -> Text {
        if case .pattern = token.kind { throw refused("`\\*` is an escape of patterns, which only `like` takes") }
        guard case .string(let text) = token.kind else { throw expected(what) }
        try advance()
        return Text(text)
    }

    private func twice(_ name: String, at token: Token) -> Diagnostic {
        lexer.diagnostic("`\(name)` is declared twice", at: token.range)
    }
}
