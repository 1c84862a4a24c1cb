/// Expressions in the JSON of the language, each an object with one key that says what it is. Cedar docs, _JSON policy
/// format_, section _JsonExpr objects_.
extension Expression {
    convenience init(_ json: JSON) throws(JSONError) {
        let fields = try json.fields("an expression")
        guard let (key, body) = fields.first, fields.count == 1 else {
            throw JSONError("an expression is an object with one key")
        }
        let kind = try Kind(key.string, body)
        let depth = 1 + (kind.children.map(\.depth).max() ?? 0)
        guard depth <= Self.maximumDepth else { throw JSONError("an expression is nested too deep") }
        self.init(kind)
    }
}

extension Expression.Kind {
    fileprivate init(_ key: String, _ body: JSON) throws(JSONError) {
        switch key {
        case "Value": self = try Self.value(body)
        case "Var":
            guard case .string(let name) = body, let variable = Expression.Variable(rawValue: name.string) else {
                throw JSONError("there is no such variable, only `principal`, `action`, `resource` and `context`")
            }
            self = .variable(variable)
        case "!": self = .not(try Self.argument(body))
        case "neg": self = .negate(try Self.argument(body))
        case "isEmpty": self = .isEmpty(try Self.argument(body))
        case "&&":
            let (left, right) = try Self.operands(body)
            self = .and(left, right)
        case "||":
            let (left, right) = try Self.operands(body)
            self = .or(left, right)
        case "if-then-else":
            let fields = try body.fields("an `if`", of: ["if", "then", "else"])
            guard let test = fields["if"], let yes = fields["then"], let no = fields["else"] else {
                throw JSONError("an `if` has `if`, `then` and `else`")
            }
            self = .conditional(if: try Expression(test), then: try Expression(yes), else: try Expression(no))
        case ".", "has", "like", "is": self = try Self.test(key, body)
        case "Set":
            var members: [Expression] = []
            for member in try body.members("a set") { members.append(try Expression(member)) }
            self = .set(members)
        case "Record":
            var fields: [Expression.Field] = []
            for (name, value) in try body.fields("a record").sorted(by: { $0.key < $1.key }) {
                fields.append(Expression.Field(name, try Expression(value)))
            }
            self = .record(fields)
        case "Slot": throw JSONError("a template's slot can stand in a scope only")
        case "Unknown": throw JSONError("an unknown can stand in no policy")
        default:
            if let operation = Expression.BinaryOperator(rawValue: key) {
                let (left, right) = try Self.operands(body)
                self = .binary(operation, left, right)
                return
            }
            guard let function = ExtensionFunction(rawValue: key) else {
                throw JSONError("there is no function \(StringLiteral.quoted(key))")
            }
            var arguments: [Expression] = []
            for argument in try body.members("the arguments of a function") {
                arguments.append(try Expression(argument))
            }
            self = .call(function, arguments)
        }
    }

    private static func argument(_ json: JSON) throws(JSONError) -> Expression {
        guard let argument = try json.fields("an operator", of: ["arg"])["arg"] else {
            throw JSONError("this operator has an `arg`")
        }
        return try Expression(argument)
    }

    private static func operands(_ json: JSON) throws(JSONError) -> (Expression, Expression) {
        let fields = try json.fields("an operator", of: ["left", "right"])
        guard let left = fields["left"], let right = fields["right"] else {
            throw JSONError("this operator has `left` and `right`")
        }
        return (try Expression(left), try Expression(right))
    }

    /// What is asked of an expression by name, pattern or type.
    private static func test(_ key: String, _ json: JSON) throws(JSONError) -> Self {
        let fields = try json.fields("a test", of: ["left", "attr", "pattern", "entity_type", "in"])
        guard let left = fields["left"] else { throw JSONError("`\(key)` has `left`") }
        let operand = try Expression(left)
        switch (key, fields["attr"], fields["pattern"], fields["entity_type"]) {
        case (".", .string(let name)?, nil, nil): return .attribute(operand, name)
        case ("has", .string(let name)?, nil, nil): return .has(operand, [name])
        case ("has", let names?, nil, nil):
            let names = try names.texts("the attributes of `has`")
            guard (1...Expression.maximumDepth).contains(names.count) else {
                throw JSONError("`has` asks for one attribute at least, and not for too many")
            }
            return .has(operand, names)
        case ("like", nil, let pattern?, nil): return .like(operand, try Pattern(pattern))
        case ("is", nil, nil, .string(let name)?):
            guard let type = EntityType(name.string) else {
                throw JSONError("\(StringLiteral.quoted(name.string)) is no entity type")
            }
            let group = try fields["in"].map { json throws(JSONError) in try Expression(json) }
            return .isType(operand, type, in: group)
        default: throw JSONError("`.` and `has` have an `attr`, `like` a `pattern`, and `is` an `entity_type`")
        }
    }

    /// A value, which may be made of others.
    private static func value(_ json: JSON) throws(JSONError) -> Self {
        switch json {
        case .null: throw JSONError("`null` is no value of the language")
        case .bool(let bool): return .literal(.bool(bool))
        case .number(let number): return .literal(.long(number))
        case .string(let text): return .literal(.string(text))
        case .array(let members):
            var expressions: [Expression] = []
            for member in members { expressions.append(Expression(try value(member))) }
            return .set(expressions)
        case .object(let fields):
            if let entity = fields["__entity"], fields.count == 1 { return .literal(.entity(try EntityUID(entity))) }
            if let call = fields["__extn"], fields.count == 1 { return try extensionValue(call) }
            var expressions: [Expression.Field] = []
            for (name, field) in fields.sorted(by: { $0.key < $1.key }) {
                expressions.append(Expression.Field(name, Expression(try value(field))))
            }
            return .record(expressions)
        }
    }

    private static func extensionValue(_ json: JSON) throws(JSONError) -> Self {
        let fields = try json.fields("an extension value", of: ["fn", "arg", "args"])
        guard case .string(let name)? = fields["fn"], let function = ExtensionFunction(rawValue: name.string),
            fields.count == 2, let arguments = try fields["args"]?.members("arguments") ?? fields["arg"].map({ [$0] })
        else { throw JSONError("an extension value has a known function `fn` and its `arg` or `args`") }
        var expressions: [Expression] = []
        for argument in arguments { expressions.append(Expression(try value(argument))) }
        return .call(function, expressions)
    }
}

extension Pattern {
    /// `["Wildcard", {"Literal": "a"}]`
    fileprivate init(_ json: JSON) throws(JSONError) {
        var pieces = [""]
        for element in try json.members("a pattern") {
            switch element {
            case .string("Wildcard"): pieces.append("")
            default:
                guard case .object(let fields) = element, case .string(let text)? = fields["Literal"], fields.count == 1
                else { throw JSONError("a pattern is made of `\"Wildcard\"` and `{\"Literal\": …}`") }
                pieces[pieces.count - 1] += text.string
            }
        }
        self.init(pieces: pieces.map { Text($0) })
    }

    /// One literal for each character, as the reference writes it.
    fileprivate var document: JSON {
        var elements: [JSON] = []
        for (number, piece) in pieces.enumerated() {
            if number > 0 { elements.append(.string("Wildcard")) }
            elements += piece.string.unicodeScalars.map { .object(["Literal": .string(Text(String($0)))]) }
        }
        return .array(elements)
    }
}

// MARK: - Writing

extension Expression {
    var document: JSON {
        func object(_ key: Text, _ body: JSON) -> JSON { .object([key: body]) }
        func binary(_ key: Text, _ left: Expression, _ right: Expression) -> JSON {
            object(key, .object(["left": left.document, "right": right.document]))
        }
        func of(_ operand: Expression, _ more: [Text: JSON]) -> JSON {
            .object(more.merging(["left": operand.document]) { first, _ in first })
        }
        switch kind {
        case .literal(let value): return value.expressionDocument
        case .variable(let variable): return object("Var", .string(Text(variable.rawValue)))
        case .not(let operand): return object("!", .object(["arg": operand.document]))
        case .negate(let operand): return object("neg", .object(["arg": operand.document]))
        case .isEmpty(let operand): return object("isEmpty", .object(["arg": operand.document]))
        case .and(let left, let right): return binary("&&", left, right)
        case .or(let left, let right): return binary("||", left, right)
        case .binary(let operation, let left, let right): return binary(Text(operation.rawValue), left, right)
        case .conditional(let test, let yes, let no):
            return object(
                "if-then-else", .object(["if": test.document, "then": yes.document, "else": no.document]))
        case .attribute(let operand, let name): return object(".", of(operand, ["attr": .string(name)]))
        case .has(let operand, let names): return Self.has(operand, names)
        case .like(let operand, let pattern): return object("like", of(operand, ["pattern": pattern.document]))
        case .isType(let operand, let type, let group):
            var fields: [Text: JSON] = ["entity_type": .string(Text(type.name))]
            fields["in"] = group?.document
            return object("is", of(operand, fields))
        case .set(let members): return object("Set", .array(members.map(\.document)))
        case .record(let fields):
            let pairs = fields.map { ($0.key, $0.value.document) }
            return object("Record", .object(Dictionary(pairs) { first, _ in first }))
        case .call(let function, let arguments):
            return object(Text(function.rawValue), .array(arguments.map(\.document)))
        }
    }

    /// A path of attributes is asked for one by one: `e has a && e.a has b`.
    private static func has(_ operand: Expression, _ names: [Text]) -> JSON {
        var operand = operand
        var whole: JSON?
        for name in names {
            let test = JSON.object(["has": .object(["left": operand.document, "attr": .string(name)])])
            whole = whole.map { .object(["&&": .object(["left": $0, "right": test])]) } ?? test
            operand = Expression(.attribute(operand, name))
        }
        return whole ?? .object([:])
    }
}

extension Value {
    /// The value as an expression.
    fileprivate var expressionDocument: JSON {
        func call(_ function: ExtensionFunction, _ text: String) -> JSON {
            .object([Text(function.rawValue): .array([.object(["Value": .string(Text(text))])])])
        }
        switch self {
        case .bool(let bool): return .object(["Value": .bool(bool)])
        case .long(let long): return .object(["Value": .number(long)])
        case .string(let text): return .object(["Value": .string(text)])
        case .entity(let entity): return .object(["Value": .object(["__entity": entity.document])])
        case .set(let members):
            let sorted = members.map { ($0.description, $0.expressionDocument) }.sorted { $0.0 < $1.0 }
            return .object(["Set": .array(sorted.map(\.1))])
        case .record(let fields): return .object(["Record": .object(fields.mapValues(\.expressionDocument))])
        case .decimal(let decimal): return call(.decimal, "\(decimal)")
        case .ip(let address): return call(.ip, "\(address)")
        case .duration(let duration): return call(.duration, "\(duration)")
        // Also where no literal is long enough.
        case .datetime(let datetime):
            let start = call(.datetime, "1970-01-01")
            return .object(["offset": .array([start, call(.duration, "\(datetime.milliseconds)ms")])])
        }
    }
}
