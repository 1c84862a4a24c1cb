/// Reads the JSON schema format.
///
///     {"N": {"commonTypes": {"T": …}, "entityTypes": {"E": {"memberOfTypes": […], "shape": …, "tags": …}},
///            "actions": {"a": {"memberOf": [{"id": "b"}], "appliesTo": {…}}}, "annotations": {…}}}
///
/// Cedar docs, _JSON schema format_.
extension SchemaFragment {
    public init(parsingJSON text: String) throws(SchemaError) {
        do throws(JSONError) {
            guard text.utf8.count <= Self.maximumTextBytes else {
                throw JSONError("the text is longer than \(Self.maximumTextBytes) bytes")
            }
            try self.init(JSON(parsing: text))
        } catch { throw .json(error) }
    }

    init(_ json: JSON) throws(JSONError) {
        for (name, body) in try json.fields("a schema") {
            guard name.string.isEmpty || EntityType(name.string) != nil else {
                throw JSONError("\(StringLiteral.quoted(name.string)) names no namespace")
            }
            let namespace = try SchemaNamespace(body)
            guard !name.string.isEmpty || namespace.annotations.isEmpty else {
                throw JSONError("the empty namespace has no annotations")
            }
            namespaces[name.string] = namespace
        }
    }
}

extension SchemaNamespace {
    init(_ json: JSON) throws(JSONError) {
        let fields = try json.fields("a namespace", of: ["commonTypes", "entityTypes", "actions", "annotations"])
        guard let entities = fields["entityTypes"], let actions = fields["actions"] else {
            throw JSONError("a namespace has `entityTypes` and `actions`")
        }
        annotations = try SchemaAnnotation.list(fields["annotations"])
        for (name, body) in try fields["commonTypes"]?.fields("the common types") ?? [:] {
            guard !SchemaNames.keywords.contains(name.string) else {
                throw JSONError("`\(name)` is a word of the schema format and names no type")
            }
            commonTypes[try Self.declared(name)] = try CommonTypeDeclaration(body)
        }
        for (name, body) in try entities.fields("the entity types") {
            entityTypes[try Self.declared(name)] = try EntityTypeDeclaration(body)
        }
        for (name, body) in try actions.fields("the actions") { self.actions[name] = try ActionDeclaration(body) }
    }

    private static func declared(_ name: Text) throws(JSONError) -> String {
        guard SchemaNames.isDeclarable(name.string) else {
            throw JSONError("\(StringLiteral.quoted(name.string)) cannot be the name of a type")
        }
        return name.string
    }
}

extension SchemaAnnotation {
    fileprivate static func list(_ json: JSON?) throws(JSONError) -> [SchemaAnnotation] {
        var annotations: [SchemaAnnotation] = []
        for (key, value) in try json?.fields("the annotations") ?? [:] {
            guard Identifier.isValid(Array(key.string.utf8)) else {
                throw JSONError("\(StringLiteral.quoted(key.string)) is no name of an annotation")
            }
            switch value {
            case .null: annotations.append(SchemaAnnotation(key: key.string, value: nil))
            case .string(let text): annotations.append(SchemaAnnotation(key: key.string, value: text))
            default: throw JSONError("the value of an annotation is a string")
            }
        }
        return annotations.sorted { $0.key < $1.key }
    }
}

extension CommonTypeDeclaration {
    init(_ json: JSON) throws(JSONError) {
        var fields = try json.fields("a type")
        annotations = try SchemaAnnotation.list(fields.removeValue(forKey: "annotations"))
        type = try SchemaType(fields)
    }
}

extension EntityTypeDeclaration {
    init(_ json: JSON) throws(JSONError) {
        let known: Set<Text> = ["memberOfTypes", "shape", "tags", "enum", "annotations"]
        let fields = try json.fields("an entity type", of: known)
        annotations = try SchemaAnnotation.list(fields["annotations"])
        if let ids = fields["enum"] {
            guard fields["memberOfTypes"] == nil, fields["shape"] == nil, fields["tags"] == nil else {
                throw JSONError("an entity type with `enum` has no `memberOfTypes`, `shape` or `tags`")
            }
            let ids = try ids.texts("the ids of an entity type")
            guard !ids.isEmpty else { throw JSONError("an entity type with `enum` has at least one id") }
            kind = .enumerated(ids)
        } else {
            kind = .standard(
                parents: try fields["memberOfTypes"]?.references("the parents of an entity type") ?? [],
                shape: try fields["shape"].map { json throws(JSONError) in try SchemaType(json) } ?? .empty,
                tags: try fields["tags"].map { json throws(JSONError) in try SchemaType(json) })
        }
    }
}

extension ActionDeclaration {
    init(_ json: JSON) throws(JSONError) {
        let fields = try json.fields("an action", of: ["attributes", "appliesTo", "memberOf", "annotations"])
        annotations = try SchemaAnnotation.list(fields["annotations"])
        groups = try fields["memberOf"]?.optional.map { json throws(JSONError) in
            var groups: [Group] = []
            for group in try json.members("the groups of an action") { groups.append(try Group(group)) }
            return groups
        }
        application = try fields["appliesTo"]?.optional.map { json throws(JSONError) in try Application(json) }
        hasAttributes = fields["attributes"]?.optional != nil
    }
}

extension ActionDeclaration.Group {
    init(_ json: JSON) throws(JSONError) {
        let fields = try json.fields("the group of an action", of: ["id", "type"])
        guard case .string(let id)? = fields["id"] else { throw JSONError("the group of an action has an `id`") }
        self.init(
            type: try fields["type"]?.optional.map { json throws(JSONError) in try json.reference("a type") }, id: id)
    }
}

extension ActionDeclaration.Application {
    init(_ json: JSON) throws(JSONError) {
        let fields = try json.fields("what an action applies to", of: ["principalTypes", "resourceTypes", "context"])
        guard let principals = fields["principalTypes"], let resources = fields["resourceTypes"] else {
            throw JSONError("what an action applies to has `principalTypes` and `resourceTypes`")
        }
        self.init(
            principals: try principals.references("the principals of an action"),
            resources: try resources.references("the resources of an action"),
            context: try fields["context"].map { json throws(JSONError) in try SchemaType(json) } ?? .empty)
    }
}

extension SchemaType {
    init(_ json: JSON) throws(JSONError) { try self.init(try json.fields("a type")) }

    fileprivate init(_ fields: [Text: JSON]) throws(JSONError) {
        guard case .string(let kind)? = fields["type"] else { throw JSONError("a type has a `type`") }
        let allowed: Set<Text> =
            switch kind.string {
            case "Set": ["type", "element"]
            case "Record": ["type", "attributes", "additionalAttributes"]
            case "Entity", "Extension", "EntityOrCommon": ["type", "name"]
            default: ["type"]
            }
        if let unknown = fields.keys.filter({ !allowed.contains($0) }).min() {
            throw JSONError("a type `\(kind)` has no field \(StringLiteral.quoted(unknown.string))")
        }
        switch kind.string {
        case "Boolean": self = .bool
        case "Long": self = .long
        case "String": self = .string
        case "Set":
            guard let element = fields["element"] else { throw JSONError("a type `Set` has an `element`") }
            self = .set(try SchemaType(element))
        case "Record": self = try Self.record(fields)
        case "Entity": self = .entity(try Self.name(fields))
        case "Extension": self = .ext(try Self.name(fields))
        case "EntityOrCommon": self = .named(try Self.name(fields))
        default: self = .common(try JSON.string(kind).reference("a type"))
        }
    }

    private static func name(_ fields: [Text: JSON]) throws(JSONError) -> String {
        guard let name = fields["name"] else { throw JSONError("this type has a `name`") }
        return try name.reference("a type")
    }

    private static func record(_ fields: [Text: JSON]) throws(JSONError) -> SchemaType {
        guard let attributes = fields["attributes"] else { throw JSONError("a type `Record` has `attributes`") }
        var types: [Text: SchemaAttribute] = [:]
        for (name, body) in try attributes.fields("the attributes of a type") {
            types[name] = try SchemaAttribute(body)
        }
        return .record(types, open: try fields["additionalAttributes"]?.bool("`additionalAttributes`") ?? false)
    }
}

extension SchemaAttribute {
    init(_ json: JSON) throws(JSONError) {
        var fields = try json.fields("an attribute")
        annotations = try SchemaAnnotation.list(fields.removeValue(forKey: "annotations"))
        isRequired = try fields.removeValue(forKey: "required")?.bool("`required`") ?? true
        type = try SchemaType(fields)
    }
}

extension JSON {
    /// The value, unless it is `null`.
    fileprivate var optional: JSON? { self == .null ? nil : self }

    func fields(_ what: String, of known: Set<Text>) throws(JSONError) -> [Text: JSON] {
        let fields = try fields(what)
        if let unknown = fields.keys.filter({ !known.contains($0) }).min() {
            throw JSONError("\(what) has no field \(StringLiteral.quoted(unknown.string))")
        }
        return fields
    }

    func bool(_ what: String) throws(JSONError) -> Bool {
        guard case .bool(let bool) = self else { throw JSONError("\(what) must be true or false") }
        return bool
    }

    func texts(_ what: String) throws(JSONError) -> [Text] {
        var texts: [Text] = []
        for member in try members(what) {
            guard case .string(let text) = member else { throw JSONError("\(what) must be strings") }
            texts.append(text)
        }
        return texts
    }

    /// The name of a type, in which `__cedar` may stand.
    fileprivate func reference(_ what: String) throws(JSONError) -> String {
        guard case .string(let name) = self, SchemaNames.isReference(name.string) else {
            throw JSONError("the name of \(what) is identifiers joined by `::`")
        }
        return name.string
    }

    fileprivate func references(_ what: String) throws(JSONError) -> [String] {
        var names: [String] = []
        for member in try members(what) { names.append(try member.reference(what)) }
        return names
    }
}
