/// Policies in the JSON of the language:
///
///     {"staticPolicies": {"p": {"effect": "permit", "principal": {"op": "==", "entity": {…}}, "action": {"op": "All"},
///                               "resource": …, "conditions": [{"kind": "when", "body": {…}}], "annotations": {…}}},
///      "templates": {…}, "templateLinks": [{"templateId": "t", "newId": "l", "values": {"?principal": {…}}}]}
///
/// Cedar docs, _JSON policy format_.
extension PolicySet {
    /// An expression of the greatest depth, and what stands around it.
    private static let maximumJSONDepth = 4 * Expression.maximumDepth

    /// Reads a set; its policies come in the order of their ids.
    public init(parsingJSON text: String) throws(JSONError) {
        guard text.utf8.count <= 16 * Self.maximumTextBytes else { throw JSONError("the text is too long") }
        let json = try JSON(parsing: text, maximumDepth: Self.maximumJSONDepth)
        let fields = try json.fields("a policy set", of: ["staticPolicies", "templates", "templateLinks"])
        guard let statics = fields["staticPolicies"], let templates = fields["templates"],
            let links = fields["templateLinks"]
        else { throw JSONError("a policy set has `staticPolicies`, `templates` and `templateLinks`") }
        var policies: [Policy] = []
        for (id, body) in try statics.fields("the policies").sorted(by: { $0.key < $1.key }) {
            guard let policy = try Template(body, id: id.string).policy else {
                throw JSONError("the policy \(StringLiteral.quoted(id.string)) has a slot, so it is a template")
            }
            policies.append(policy)
        }
        var blanks: [Template] = []
        for (id, body) in try templates.fields("the templates").sorted(by: { $0.key < $1.key }) {
            let template = try Template(body, id: id.string)
            guard template.policy == nil else {
                throw JSONError("the template \(StringLiteral.quoted(id.string)) has no slot, so it is a policy")
            }
            blanks.append(template)
        }
        let byID = Dictionary(blanks.map { ($0.id, $0) }) { first, _ in first }
        for link in try links.members("the links") { policies.append(try Policy(link: link, byID)) }
        do throws(PolicySetError) { try self.init(policies, templates: blanks) } catch { throw JSONError("\(error)") }
    }

    /// Reads a set, or one policy or template by itself, which is then called `JSON policy` as by the reference.
    public init(parsingJSONOfSetOrPolicy text: String) throws(JSONError) {
        guard text.utf8.count <= 16 * Self.maximumTextBytes else { throw JSONError("the text is too long") }
        let json = try JSON(parsing: text, maximumDepth: Self.maximumJSONDepth)
        guard try json.fields("a policy or a policy set")["effect"] != nil else {
            try self.init(parsingJSON: text)
            return
        }
        let statement = try Template(json, id: "JSON policy")
        let policy = statement.policy
        do throws(PolicySetError) {
            try self.init(policy.map { [$0] } ?? [], templates: policy == nil ? [statement] : [])
        } catch { throw JSONError("\(error)") }
    }

    /// The set in JSON.
    public var json: String { document.description }

    var document: JSON {
        .object([
            "staticPolicies": .object(Self.byID(policies.filter { $0.link == nil }.map { (Text($0.id), $0.document) })),
            "templates": .object(Self.byID(templates.map { (Text($0.id), $0.document) })),
            "templateLinks": .array(policies.compactMap(\.linkDocument)),
        ])
    }

    private static func byID(_ pairs: [(Text, JSON)]) -> [Text: JSON] { Dictionary(pairs) { first, _ in first } }
}

extension Policy {
    /// `{"templateId": "t", "newId": "l", "values": {"?principal": {…}}}`
    fileprivate init(link json: JSON, _ templates: [Template.ID: Template]) throws(JSONError) {
        let fields = try json.fields("a link", of: ["templateId", "newId", "values"])
        guard case .string(let id)? = fields["newId"], case .string(let template)? = fields["templateId"],
            let values = try fields["values"]?.fields("the values of a link")
        else { throw JSONError("a link has `templateId`, `newId` and `values`") }
        guard let template = templates[template.string] else {
            throw JSONError("\(PolicySetError.noSuchTemplate(template.string))")
        }
        var entities: [Slot: EntityUID] = [:]
        for (name, value) in values {
            guard let slot = Slot(rawValue: name.string) else {
                throw JSONError("there is no slot \(StringLiteral.quoted(name.string))")
            }
            entities[slot] = try EntityUID(value)
        }
        do throws(PolicySetError) {
            self = try template.linked(as: id.string, entities)
        } catch { throw JSONError("\(error)") }
    }

    fileprivate var linkDocument: JSON? {
        guard let link else { return nil }
        let values = link.values.map { (Text($0.key.rawValue), $0.value.document) }
        return .object([
            "templateId": .string(Text(link.template)), "newId": .string(Text(id)),
            "values": .object(Dictionary(values) { first, _ in first }),
        ])
    }

    /// The policy by itself.
    public var json: String { document.description }

    fileprivate var document: JSON {
        Template(
            id: id, annotations: annotations, effect: effect, principal: .fixed(scope.principal), action: scope.action,
            resource: .fixed(scope.resource), conditions: conditions, range: range
        ).document
    }
}

// MARK: - Policies and templates

extension Template {
    fileprivate init(_ json: JSON, id: String) throws(JSONError) {
        let known: Set<Text> = ["effect", "principal", "action", "resource", "conditions", "annotations"]
        let fields = try json.fields("a policy", of: known)
        guard case .string(let effect)? = fields["effect"], let effect = Effect(rawValue: effect.string),
            let principal = fields["principal"], let action = fields["action"], let resource = fields["resource"],
            let bodies = try fields["conditions"]?.members("the conditions of a policy")
        else {
            throw JSONError("a policy has an `effect`, a `principal`, an `action`, a `resource` and `conditions`")
        }
        var conditions: [Condition] = []
        for body in bodies {
            let fields = try body.fields("a condition", of: ["kind", "body"])
            guard case .string(let kind)? = fields["kind"], let kind = Condition.Kind(rawValue: kind.string),
                let body = fields["body"]
            else { throw JSONError("a condition has a `kind`, which is `when` or `unless`, and a `body`") }
            conditions.append(Condition(kind, try Expression(body)))
        }
        let origin = SourcePosition(line: 1, column: 1, offset: 0)
        let range = SourceRange(start: origin, end: origin)
        var annotations: [Annotation] = []
        let notes = try fields["annotations"]?.fields("the annotations of a policy") ?? [:]
        for (key, value) in notes.sorted(by: { $0.key < $1.key }) {
            guard Identifier.isValid(Array(key.string.utf8)) else {
                throw JSONError("\(StringLiteral.quoted(key.string)) is no name of an annotation")
            }
            switch value {
            case .null: annotations.append(Annotation(key: key.string, value: "", range: range, isBare: true))
            case .string(let text): annotations.append(Annotation(key: key.string, value: text.string, range: range))
            default: throw JSONError("the value of an annotation is a string")
            }
        }
        self.init(
            id: id, annotations: annotations, effect: effect, principal: try SlotConstraint(principal, .principal),
            action: try ActionConstraint(action), resource: try SlotConstraint(resource, .resource),
            conditions: conditions, range: range)
    }

    fileprivate var document: JSON {
        var fields: [Text: JSON] = [
            "effect": .string(Text(effect.rawValue)), "principal": principal.document(.principal),
            "action": action.document, "resource": resource.document(.resource),
            "conditions": .array(
                conditions.map { .object(["kind": .string(Text($0.kind.rawValue)), "body": $0.body.document]) }),
        ]
        if !annotations.isEmpty {
            let notes = annotations.map { (Text($0.key), $0.isBare ? JSON.null : .string(Text($0.value))) }
            fields["annotations"] = .object(Dictionary(notes) { first, _ in first })
        }
        return .object(fields)
    }
}

extension SlotConstraint {
    fileprivate init(_ json: JSON, _ slot: Slot) throws(JSONError) {
        let fields = try json.fields("a scope", of: ["op", "entity", "slot", "entity_type", "in"])
        guard case .string(let operation)? = fields["op"] else { throw JSONError("a scope has an `op`") }
        switch operation.string {
        case "All": self = .fixed(.any)
        case "==": self = try Self.entity(fields, slot).map { .fixed(.equal($0)) } ?? .equal
        case "in": self = try Self.entity(fields, slot).map { .fixed(.within($0)) } ?? .within
        case "is":
            guard case .string(let name)? = fields["entity_type"], let type = EntityType(name.string) else {
                throw JSONError("a scope with `is` has an `entity_type`")
            }
            guard let group = fields["in"] else {
                self = .fixed(.isType(type))
                return
            }
            let entity = try Self.entity(try group.fields("a scope", of: ["entity", "slot"]), slot)
            self = entity.map { .fixed(.isTypeWithin(type, $0)) } ?? .isTypeWithin(type)
        default: throw JSONError("a scope has no `op` \(StringLiteral.quoted(operation.string))")
        }
    }

    /// Nil for the slot.
    private static func entity(_ fields: [Text: JSON], _ slot: Slot) throws(JSONError) -> EntityUID? {
        if let entity = fields["entity"] { return try EntityUID(entity) }
        guard fields["slot"] == .string(Text(slot.rawValue)) else {
            throw JSONError("a scope names an `entity` or the `slot` `\(slot.rawValue)`")
        }
        return nil
    }

    fileprivate func document(_ slot: Slot) -> JSON {
        func object(_ operation: Text, _ more: [Text: JSON] = [:]) -> JSON {
            .object(more.merging(["op": .string(operation)]) { first, _ in first })
        }
        let blank: [Text: JSON] = ["slot": .string(Text(slot.rawValue))]
        return switch self {
        case .fixed(.any): object("All")
        case .fixed(.equal(let entity)): object("==", ["entity": entity.document])
        case .fixed(.within(let entity)): object("in", ["entity": entity.document])
        case .fixed(.isType(let type)): object("is", ["entity_type": .string(Text(type.name))])
        case .fixed(.isTypeWithin(let type, let entity)):
            object("is", ["entity_type": .string(Text(type.name)), "in": .object(["entity": entity.document])])
        case .equal: object("==", blank)
        case .within: object("in", blank)
        case .isTypeWithin(let type): object("is", ["entity_type": .string(Text(type.name)), "in": .object(blank)])
        }
    }
}

extension ActionConstraint {
    fileprivate init(_ json: JSON) throws(JSONError) {
        let fields = try json.fields("a scope", of: ["op", "entity", "entities"])
        switch (fields["op"], fields["entity"], fields["entities"]) {
        case (.string("All")?, nil, nil): self = .any
        case (.string("==")?, let entity?, nil): self = .equal(try Self.action(entity))
        case (.string("in")?, let entity?, nil): self = .within([try Self.action(entity)])
        case (.string("in")?, nil, let entities?):
            var actions: [EntityUID] = []
            for entity in try entities.members("the actions of a scope") { actions.append(try Self.action(entity)) }
            self = .within(actions)
        default: throw JSONError("the action of a scope is `All`, `==` an `entity`, or `in` an `entity` or `entities`")
        }
    }

    private static func action(_ json: JSON) throws(JSONError) -> EntityUID {
        let action = try EntityUID(json)
        guard action.type.isAction else {
            throw JSONError("an action is an entity of type `Action`, not `\(action.type)`")
        }
        return action
    }

    fileprivate var document: JSON {
        switch self {
        case .any: .object(["op": .string("All")])
        case .equal(let action): .object(["op": .string("=="), "entity": action.document])
        case .within(let actions) where actions.count == 1:
            .object(["op": .string("in"), "entity": actions[0].document])
        case .within(let actions): .object(["op": .string("in"), "entities": .array(actions.map(\.document))])
        }
    }
}

extension EntityUID {
    package var document: JSON { .object(["type": .string(Text(type.name)), "id": .string(Text(id))]) }
}
