/// Requests and entities as a schema allows them. Cedar docs, _Schema_.
extension Schema {
    /// Checks that the action applies to the principal and the resource, and that the context is of its type.
    public func validate(_ request: Request) throws(ConformanceError) {
        guard entityTypes[request.principal.type] != nil else {
            throw .undeclaredPrincipalType(request.principal.type)
        }
        try validate(enumerated: request.principal)
        guard entityTypes[request.resource.type] != nil else { throw .undeclaredResourceType(request.resource.type) }
        try validate(enumerated: request.resource)
        guard let action = actions[request.action] else { throw .undeclaredAction(request.action) }
        guard action.principals.contains(request.principal.type) else {
            throw .invalidPrincipalType(request.principal.type, request.action)
        }
        guard action.resources.contains(request.resource.type) else {
            throw .invalidResourceType(request.resource.type, request.action)
        }
        let context = Value.record(request.context.attributes)
        try validate(named: context)
        guard context.conforms(to: .record(action.context)) else { throw .invalidContext(request.action) }
    }

    /// Checks an entity and what it belongs to, near or far.
    public func validate(_ entity: Entity, in entities: Entities) throws(ConformanceError) {
        let ancestors = entities.ancestors(of: entity.uid)
        guard !entity.uid.type.isAction else { return try validate(action: entity, ancestors) }
        guard let definition = entityTypes[entity.uid.type] else { throw .undeclaredEntityType(entity.uid.type) }
        try validate(enumerated: entity.uid)
        for ancestor in ancestors {
            guard definition.ancestors.contains(ancestor.type) else { throw .invalidAncestor(ancestor, of: entity.uid) }
            try validate(enumerated: ancestor)
        }
        let attributes = definition.attributes.attributes
        for (name, attribute) in attributes where attribute.isRequired && entity.attributes[name] == nil {
            throw .missingAttribute(name, of: entity.uid)
        }
        for (name, value) in entity.attributes {
            guard let attribute = attributes[name] else { throw .unexpectedAttribute(name, of: entity.uid) }
            guard value.conforms(to: attribute.type) else {
                throw .wrongAttributeType(name, of: entity.uid, expected: attribute.type)
            }
            try validate(named: value)
        }
        for (name, value) in entity.tags {
            guard let type = definition.tags else { throw .unexpectedTag(name, of: entity.uid) }
            guard value.conforms(to: type) else { throw .wrongTagType(name, of: entity.uid, expected: type) }
            try validate(named: value)
        }
    }

    private func validate(action: Entity, _ ancestors: Set<EntityUID>) throws(ConformanceError) {
        guard let definition = actions[action.uid] else { throw .undeclaredAction(action.uid) }
        guard action.attributes.isEmpty, action.tags.isEmpty, ancestors == definition.ancestors else {
            throw .actionMismatch(action.uid)
        }
    }

    /// An entity of a type whose ids are told must have one of these.
    private func validate(enumerated entity: EntityUID) throws(ConformanceError) {
        guard case .enumerated(let ids)? = entityTypes[entity.type]?.kind else { return }
        guard ids.contains(Text(entity.id)) else { throw .invalidEnumEntity(entity) }
    }

    /// The entities that a value names.
    private func validate(named value: Value) throws(ConformanceError) {
        switch value {
        case .entity(let entity) where entity.type.isAction:
            guard actions[entity] != nil else { throw .undeclaredAction(entity) }
        case .entity(let entity): try validate(enumerated: entity)
        case .set(let members): for member in members { try validate(named: member) }
        case .record(let fields): for value in fields.values { try validate(named: value) }
        default: return
        }
    }
}

extension Value {
    /// Whether the value is of the type.
    public func conforms(to type: StaticType) -> Bool {
        switch (self, type) {
        case (.bool, .bool), (.long, .long), (.string, .string), (.entity, .anyEntity), (.set, .set(nil)): return true
        case (.bool(let bool), .always(let known)): return bool == known
        case (.entity(let entity), .entity(let types)): return types.contains(entity.type)
        case (.set(let members), .set(let element?)): return members.allSatisfy { $0.conforms(to: element) }
        case (.record(let fields), .record(let record)): return Self.conform(fields, to: record)
        case (.ip, .ext(.ipaddr)), (.decimal, .ext(.decimal)), (.datetime, .ext(.datetime)),
            (.duration, .ext(.duration)):
            return true
        default: return false
        }
    }

    private static func conform(_ fields: [Text: Value], to record: RecordType) -> Bool {
        let areDeclared = fields.allSatisfy { name, value in
            record.attributes[name].map { value.conforms(to: $0.type) } ?? record.isOpen
        }
        return areDeclared && record.attributes.allSatisfy { !$0.value.isRequired || fields[$0.key] != nil }
    }
}
