/// Entities, contexts and values in the JSON of the language, read without a schema:
///
///     [{"uid": {"type": "Agent", "id": "a"}, "attrs": {…}, "parents": [{"type": …, "id": …}], "tags": {…}}]
///
/// A value is a JSON value, `{"__entity": {"type": …, "id": …}}`, or `{"__extn": {"fn": "ip", "arg": "10.0.0.1"}}`.
extension Entities {
    public init(parsingJSON text: String) throws(JSONError) {
        let members = try JSON(parsing: text).members("the entities")
        var entities: [Entity] = []
        for member in members { entities.append(try Entity(member)) }
        do { try self.init(Self.withoutRepetitions(entities)) } catch { throw JSONError("\(error)") }
    }

    /// As in the reference, it does no harm to say of an entity the same twice.
    static func withoutRepetitions(_ entities: [Entity]) -> [Entity] {
        var first: [EntityUID: Entity] = [:]
        return entities.filter { entity in
            guard let known = first[entity.uid] else {
                first[entity.uid] = entity
                return true
            }
            return known.attributes != entity.attributes || known.tags != entity.tags
                || Set(known.parents) != Set(entity.parents)
        }
    }
}

extension Context {
    public init(parsingJSON text: String) throws(JSONError) { try self.init(JSON(parsing: text)) }

    package init(_ json: JSON) throws(JSONError) { self.init(try Value.fields(of: json, "the context")) }
}

extension EntityUID {
    /// `{"type": "Agent", "id": "a"}`, bare or as the value of `__entity`.
    package init(_ json: JSON) throws(JSONError) {
        var fields = try json.fields("the name of an entity")
        if let inner = fields["__entity"], fields.count == 1 { fields = try inner.fields("the name of an entity") }
        guard case .string(let type)? = fields["type"], case .string(let id)? = fields["id"], fields.count == 2 else {
            throw JSONError("the name of an entity has a `type` and an `id`, and nothing else")
        }
        guard let entityType = EntityType(type.string) else {
            throw JSONError("\(StringLiteral.quoted(type.string)) is no entity type")
        }
        self.init(type: entityType, id: id.string)
    }
}

extension Entity {
    init(_ json: JSON) throws(JSONError) {
        let parts = try EntityParts(json)
        self.init(
            parts.uid, in: parts.parents,
            attributes: try Value.fields(of: .object(parts.attributes), "the attributes of an entity"),
            tags: try Value.fields(of: .object(parts.tags), "the tags of an entity"))
    }
}

/// What an entity is made of in JSON, its values not read yet.
struct EntityParts {
    let uid: EntityUID
    let parents: [EntityUID]
    let attributes: [Text: JSON]
    let tags: [Text: JSON]

    init(_ json: JSON) throws(JSONError) {
        let fields = try json.fields("an entity", of: ["uid", "attrs", "parents", "tags"])
        guard let uid = fields["uid"], let attributes = fields["attrs"], let parents = fields["parents"] else {
            throw JSONError("an entity has a `uid`, `attrs` and `parents`")
        }
        var groups: [EntityUID] = []
        for parent in try parents.members("the parents of an entity") { groups.append(try EntityUID(parent)) }
        (self.uid, self.parents) = (try EntityUID(uid), groups)
        self.attributes = try attributes.fields("the attributes of an entity")
        tags = try fields["tags"]?.fields("the tags of an entity") ?? [:]
    }
}

extension Value {
    init(_ json: JSON) throws(JSONError) {
        switch json {
        case .null: throw JSONError("`null` is no value of the language")
        case .bool(let bool): self = .bool(bool)
        case .number(let number): self = .long(number)
        case .string(let text): self = .string(text)
        case .array(let members):
            var values: Set<Value> = []
            for member in members { values.insert(try Value(member)) }
            self = .set(values)
        case .object(let fields):
            if let entity = fields["__entity"], fields.count == 1 {
                self = .entity(try EntityUID(entity))
            } else if let call = fields["__extn"], fields.count == 1 {
                self = try Value(call: call)
            } else {
                self = .record(try Value.fields(of: json, "a record"))
            }
        }
    }

    /// `{"fn": "offset", "args": […]}`, or with one `arg`.
    init(call json: JSON) throws(JSONError) {
        let fields = try json.fields("an extension value")
        guard case .string(let name)? = fields["fn"], let function = ExtensionFunction(rawValue: name.string),
            fields.count == 2, let arguments = try fields["args"]?.members("arguments") ?? fields["arg"].map({ [$0] })
        else { throw JSONError("an extension value has a known function `fn` and its `arg` or `args`") }
        var values: [Value] = []
        for argument in arguments { values.append(try Value(argument)) }
        do { self = try function(values) } catch { throw JSONError("\(error)") }
    }

    static func fields(of json: JSON, _ what: String) throws(JSONError) -> [Text: Value] {
        var values: [Text: Value] = [:]
        for (key, value) in try json.fields(what) { values[key] = try Value(value) }
        return values
    }
}

extension JSON {
    package func fields(_ what: String) throws(JSONError) -> [Text: JSON] {
        guard case .object(let fields) = self else { throw JSONError("\(what) must be a JSON object") }
        return fields
    }

    package func members(_ what: String) throws(JSONError) -> [JSON] {
        guard case .array(let members) = self else { throw JSONError("\(what) must be a JSON array") }
        return members
    }
}
