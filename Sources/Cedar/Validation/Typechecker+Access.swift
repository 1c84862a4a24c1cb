/// Attributes, tags and types of entities and records.
extension Typechecker {
    private static let accessible: [StaticType] = [.anyEntity, .anyRecord]

    mutating func attribute(
        _ name: Text, _ operand: Expression, _ expression: Expression, _ known: Set<Capability>
    ) -> Answer {
        expect(Self.accessible, operand, known).then { typed, _ in
            guard let type = typed.type else { return failure(expression, nil, [typed]) }
            guard let attribute = attributeType(name, of: type) else {
                report(
                    .unsafeAttributeAccess(name, of: type, suggestion: suggestion(for: name, of: type)), at: expression)
                return failure(expression, nil, [typed])
            }
            guard attribute.isRequired || known.contains(Capability(of: operand, kind: .attribute(name))) else {
                report(.unsafeOptionalAttributeAccess(name, of: type), at: expression)
                return failure(expression, attribute.type, [typed])
            }
            return success(expression, attribute.type, [typed])
        }
    }

    /// `e has a.b.c` is `e has a && e.a has b && e.a.b has c`.
    mutating func has(
        _ names: ArraySlice<Text>, _ operand: Expression, _ expression: Expression, _ known: Set<Capability>
    ) -> Answer {
        guard let name = names.first else { return failure(expression, .bool) }
        let rest = names.dropFirst()
        guard !rest.isEmpty else { return has(name, operand, expression, known) }
        let first = Expression(.has(operand, [name]), range: expression.range)
        let next = Expression(.attribute(operand, name), range: expression.range)
        let others = Expression(.has(next, Array(rest)), range: expression.range)
        // The parts stand for the whole: their levels are what counts.
        return and(first, others, Expression(.and(first, others), range: expression.range), known)
    }

    private mutating func has(
        _ name: Text, _ operand: Expression, _ expression: Expression, _ known: Set<Capability>
    ) -> Answer {
        expect(Self.accessible, operand, known).then { typed, _ in
            guard let type = typed.type else { return failure(expression, .bool, [typed]) }
            let capability = Capability(of: operand, kind: .attribute(name))
            guard let attribute = attributeType(name, of: type) else {
                return success(expression, mayHave(name, type) ? .bool : .always(false), [typed])
            }
            // An entity may not exist, and then it has not even its required attributes.
            let exists = if case .record = type { true } else { false }
            let isCertain = (attribute.isRequired && exists) || known.contains(capability)
            return success(expression, isCertain ? .always(true) : .bool, [typed], learnt: [capability])
        }
    }

    mutating func isType(
        _ operand: Expression, _ type: EntityType, _ expression: Expression, _ known: Set<Capability>
    ) -> Answer {
        expect([.anyEntity], operand, known).then { typed, _ in
            switch typed.type {
            case .entity(let types)?:
                let result: StaticType =
                    !types.contains(type) ? .always(false) : types.count == 1 ? .always(true) : .bool
                return success(expression, result, [typed])
            case .anyEntity?: return success(expression, .bool, [typed])
            default: return failure(expression, .bool, [typed])
            }
        }
    }

    /// What is known of an attribute; nil where there is none, or where it may be of several types.
    private func attributeType(_ name: Text, of type: StaticType) -> AttributeType? {
        switch type {
        case .record(let record): record.attributes[name]
        case .entity(let types): attributes(of: types).attributes[name]
        default: nil
        }
    }

    /// What entities of these types have in common.
    private func attributes(of types: Set<EntityType>) -> RecordType {
        let records = types.sorted().map { schema.entityTypes[$0]?.attributes ?? RecordType(attributes: [:]) }
        guard let first = records.first else { return RecordType(attributes: [:]) }
        return records.dropFirst().reduce(first) { $0.common(with: $1) }
    }

    private func mayHave(_ name: Text, _ type: StaticType) -> Bool {
        switch type {
        case .never, .anyEntity: true
        case .record(let record): record.isOpen || record.attributes[name] != nil
        case .entity(let types): types.contains { schema.entityTypes[$0]?.attributes.attributes[name] != nil }
        default: false
        }
    }

    /// An attribute whose name is spelt almost so.
    private func suggestion(for name: Text, of type: StaticType) -> Text? {
        let names: [Text] =
            switch type {
            case .record(let record): Array(record.attributes.keys)
            case .entity(let types): Array(attributes(of: types).attributes.keys)
            default: []
            }
        return Spelling.nearest(to: name, among: names)
    }
}

// MARK: - Tags

extension Typechecker {
    mutating func hasTag(
        _ operand: Expression, _ key: Expression, _ expression: Expression, _ known: Set<Capability>
    ) -> Answer {
        expect([.anyEntity], operand, known).then { entity, _ in
            expect([.string], key, known).then { typedKey, _ in
                let children = [entity, typedKey]
                guard let type = entity.type else { return failure(expression, nil, children) }
                let capability = Capability(of: operand, kind: .tag(key))
                let result: StaticType =
                    tagTypes(of: type).isEmpty ? .always(false) : known.contains(capability) ? .always(true) : .bool
                return success(expression, result, children, learnt: [capability])
            }
        }
    }

    mutating func getTag(
        _ operand: Expression, _ key: Expression, _ expression: Expression, _ known: Set<Capability>
    ) -> Answer {
        expect([.anyEntity], operand, known).then { entity, _ in
            expect([.string], key, known).then { typedKey, _ in
                let children = [entity, typedKey]
                guard let type = entity.type else { return failure(expression, nil, children) }
                guard known.contains(Capability(of: operand, kind: .tag(key))) else {
                    report(.unsafeTagAccess(of: type), at: expression)
                    return failure(expression, nil, children)
                }
                let types = tagTypes(of: type)
                guard !types.isEmpty else {
                    report(.noTagsAllowed(type), at: expression)
                    return failure(expression, nil, children)
                }
                guard let tag = bound(of: types, .tag, at: expression) else {
                    return failure(expression, nil, children)
                }
                return success(expression, tag, children)
            }
        }
    }

    /// Entities that have no tags are left out: the tag is of another one.
    private func tagTypes(of type: StaticType) -> [StaticType] {
        let types: [EntityType] =
            switch type {
            case .entity(let types): types.sorted()
            case .anyEntity: schema.entityTypes.keys.sorted()
            default: []
            }
        return types.compactMap { schema.entityTypes[$0]?.tags }
    }
}
