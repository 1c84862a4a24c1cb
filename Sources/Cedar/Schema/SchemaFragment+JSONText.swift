extension SchemaFragment {
    /// The schema in the JSON schema format.
    public var json: String { document.pretty }

    var document: JSON {
        .object(Dictionary(uniqueKeysWithValues: namespaces.map { (Text($0.key), $0.value.document) }))
    }
}

extension SchemaNamespace {
    fileprivate var document: JSON {
        var fields: [Text: JSON] = [
            "entityTypes": .object(Self.fields(entityTypes.map { (Text($0.key), $0.value.document) })),
            "actions": .object(Self.fields(actions.map { ($0.key, $0.value.document) })),
        ]
        if !commonTypes.isEmpty {
            fields["commonTypes"] = .object(Self.fields(commonTypes.map { (Text($0.key), $0.value.document) }))
        }
        annotations.add(to: &fields)
        return .object(fields)
    }

    private static func fields(_ pairs: [(Text, JSON)]) -> [Text: JSON] { Dictionary(uniqueKeysWithValues: pairs) }
}

extension [SchemaAnnotation] {
    fileprivate func add(to fields: inout [Text: JSON]) {
        guard !isEmpty else { return }
        let pairs = map { (Text($0.key), $0.value.map { JSON.string($0) } ?? .null) }
        fields["annotations"] = .object(Dictionary(pairs) { first, _ in first })
    }
}

extension CommonTypeDeclaration {
    fileprivate var document: JSON {
        var fields = type.fields
        annotations.add(to: &fields)
        return .object(fields)
    }
}

extension EntityTypeDeclaration {
    fileprivate var document: JSON {
        var fields: [Text: JSON] = [:]
        switch kind {
        case .enumerated(let ids): fields["enum"] = .array(ids.map { .string($0) })
        case .standard(let parents, let shape, let tags):
            if !parents.isEmpty { fields["memberOfTypes"] = .texts(parents) }
            if shape != .empty { fields["shape"] = .object(shape.fields) }
            if let tags { fields["tags"] = .object(tags.fields) }
        }
        annotations.add(to: &fields)
        return .object(fields)
    }
}

extension ActionDeclaration {
    fileprivate var document: JSON {
        var fields: [Text: JSON] = [:]
        if let groups {
            fields["memberOf"] = .array(
                groups.map { group in
                    var fields: [Text: JSON] = ["id": .string(group.id)]
                    if let type = group.type { fields["type"] = .string(Text(type)) }
                    return .object(fields)
                })
        }
        if let application {
            var applies: [Text: JSON] = [
                "principalTypes": .texts(application.principals), "resourceTypes": .texts(application.resources),
            ]
            if application.context != .empty { applies["context"] = .object(application.context.fields) }
            fields["appliesTo"] = .object(applies)
        }
        annotations.add(to: &fields)
        return .object(fields)
    }
}

extension SchemaType {
    fileprivate var fields: [Text: JSON] {
        switch self {
        case .bool: return ["type": .string("Boolean")]
        case .long: return ["type": .string("Long")]
        case .string: return ["type": .string("String")]
        case .set(let element): return ["type": .string("Set"), "element": .object(element.fields)]
        case .entity(let name): return ["type": .string("Entity"), "name": .string(Text(name))]
        case .ext(let name): return ["type": .string("Extension"), "name": .string(Text(name))]
        case .named(let name): return ["type": .string("EntityOrCommon"), "name": .string(Text(name))]
        case .common(let name): return ["type": .string(Text(name))]
        case .record(let attributes, let open):
            var fields: [Text: JSON] = [
                "type": .string("Record"), "attributes": .object(attributes.mapValues { .object($0.fields) }),
            ]
            if open { fields["additionalAttributes"] = .bool(true) }
            return fields
        }
    }
}

extension SchemaAttribute {
    fileprivate var fields: [Text: JSON] {
        var fields = type.fields
        if !isRequired { fields["required"] = .bool(false) }
        annotations.add(to: &fields)
        return fields
    }
}

extension JSON {
    fileprivate static func texts(_ texts: [String]) -> JSON { .array(texts.map { .string(Text($0)) }) }
}
