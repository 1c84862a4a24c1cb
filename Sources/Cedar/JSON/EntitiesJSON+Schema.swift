/// Entities and contexts read with a schema, which says where an entity or an extension value is meant: then
/// `{"type": …, "id": …}` names an entity, and `"10.0.0.1"` is an IP address. Cedar docs, _Entities and context syntax_.
extension Entities {
    /// The entities of the text, each as the schema says, and the actions of the schema.
    public init(parsingJSON text: String, schema: Schema) throws(JSONError) {
        var listed: [Entity] = []
        for member in try JSON(parsing: text).members("the entities") {
            listed.append(try Entity(member, schema))
        }
        listed = Self.withoutRepetitions(listed)
        let alone: Entities
        do { alone = try Entities(listed) } catch { throw JSONError("\(error)") }
        for entity in listed {
            do { try schema.validate(entity, in: alone) } catch { throw JSONError("\(error)") }
        }
        let others = listed.filter { !$0.uid.type.isAction }
        do { try self.init(others + schema.sortedActions.map(\.entity)) } catch { throw JSONError("\(error)") }
    }
}

extension Context {
    /// The context of a request for this action.
    public init(parsingJSON text: String, schema: Schema, action: EntityUID) throws(JSONError) {
        try self.init(JSON(parsing: text), schema, action)
    }

    package init(_ json: JSON, _ schema: Schema, _ action: EntityUID) throws(JSONError) {
        guard let definition = schema.actions[action] else {
            throw JSONError("\(ConformanceError.undeclaredAction(action))")
        }
        guard case .record(let attributes) = try Value(json, as: .record(definition.context)) else {
            throw JSONError("the context must be a JSON object")
        }
        self.init(attributes)
    }
}

extension Entity {
    fileprivate init(_ json: JSON, _ schema: Schema) throws(JSONError) {
        let parts = try EntityParts(json)
        let definition = schema.entityTypes[parts.uid.type]
        var attributes: [Text: Value] = [:]
        for (name, value) in parts.attributes {
            attributes[name] = try Value(value, as: definition?.attributes.attributes[name]?.type)
        }
        var tags: [Text: Value] = [:]
        for (name, value) in parts.tags { tags[name] = try Value(value, as: definition?.tags) }
        self.init(parts.uid, in: parts.parents, attributes: attributes, tags: tags)
    }
}

extension Value {
    /// - Parameter type: what the schema says the value is, if anything. What the value is not is reported where
    ///   everything is checked.
    init(_ json: JSON, as type: StaticType?) throws(JSONError) {
        switch (type, json) {
        case (.entity?, .object(let fields)) where fields["__entity"] == nil && fields["type"] != nil:
            self = .entity(try EntityUID(json))
        case (.ext?, .object(let fields)) where fields["fn"] != nil && fields["__extn"] == nil:
            try self.init(call: json)
        case (.ext(let type)?, .string(let text)):
            do throws(EvaluationError) {
                self = try type.constructor([.string(text)])
            } catch { throw JSONError("\(error)") }
        case (.set(let element)?, .array(let members)):
            var values: Set<Value> = []
            for member in members { values.insert(try Value(member, as: element)) }
            self = .set(values)
        case (.record(let record)?, .object(let fields)):
            var values: [Text: Value] = [:]
            for (name, value) in fields {
                guard let attribute = record.attributes[name] else {
                    throw JSONError("\(record) has no attribute \(StringLiteral.quoted(name.string))")
                }
                values[name] = try Value(value, as: attribute.type)
            }
            self = .record(values)
        default: try self.init(json)
        }
    }
}
