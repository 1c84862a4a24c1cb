/// Finds what each name of a schema stands for.
///
/// A name without a namespace means what its own namespace declares, or else the empty one; there, a common type comes
/// before an entity type. Cedar docs, _Schema grammar_, and RFC 24 and 70.
struct SchemaResolver {
    private enum Meaning { case common, entity }

    /// A type, all names in it resolved, and how many types it is made of.
    private struct Resolved {
        let type: StaticType
        var size = 1
        var depth = 1
    }

    /// A small schema can declare types without end, each twice as large as the one before, or one deeper.
    private static let maximumSize = 200_000
    private static let maximumDepth = 200
    /// Over all entity types, or actions.
    private static let maximumAncestors = 4_000_000

    private var entities: [EntityType: (namespace: String, declaration: EntityTypeDeclaration)] = [:]
    private var common: [String: (namespace: String, declaration: CommonTypeDeclaration)] = [:]
    private var actions: [EntityUID: (namespace: String, declaration: ActionDeclaration)] = [:]
    private var resolved: [String: Resolved] = [:]
    private var open: Set<String> = []
    private var undefined: Set<String> = []
    private static let builtin: [String: StaticType] = Dictionary(
        uniqueKeysWithValues: [("Bool", .bool), ("Long", .long), ("String", .string)]
            + ExtensionType.allCases.map { ($0.rawValue, .ext($0)) })

    init(_ fragments: [SchemaFragment]) throws(SchemaError) {
        for (name, namespace) in fragments.flatMap(\.namespaces) { try declare(namespace, name) }
        try refuseShadowing()
    }

    private mutating func declare(_ namespace: SchemaNamespace, _ name: String) throws(SchemaError) {
        for (typeName, declaration) in namespace.commonTypes {
            let full = SchemaNames.join(name, typeName)
            guard common.updateValue((name, declaration), forKey: full) == nil else {
                throw .duplicateDeclaration(full)
            }
        }
        for (typeName, declaration) in namespace.entityTypes {
            let type = EntityType(components: [SchemaNames.join(name, typeName)])
            guard !type.isAction else { throw .actionTypeDeclared(type.name) }
            guard entities.updateValue((name, declaration), forKey: type) == nil else {
                throw .duplicateDeclaration(type.name)
            }
        }
        for (id, declaration) in namespace.actions {
            let uid = EntityUID(type: Self.actionType(in: name), id: id.string)
            guard !declaration.hasAttributes else { throw .actionAttributes("\(uid)") }
            guard actions.updateValue((name, declaration), forKey: uid) == nil else {
                throw .duplicateDeclaration("\(uid)")
            }
        }
    }

    private static func actionType(in namespace: String) -> EntityType {
        EntityType(components: [SchemaNames.join(namespace, "Action")])
    }

    /// What the empty namespace declares must mean the same everywhere.
    private func refuseShadowing() throws(SchemaError) {
        let names = Set(entities.keys.map(\.name)).union(common.keys)
        for name in names.sorted() where name.contains("::") {
            let basename = String(EntityType(components: [name]).basename)
            if names.contains(basename) { throw .shadowing(basename, by: name) }
        }
        for action in actions.keys.sorted() where action.type.name != "Action" {
            let plain = EntityUID(type: Self.actionType(in: ""), id: action.id)
            if actions[plain] != nil { throw .shadowing("\(plain)", by: "\(action)") }
        }
    }
}

// MARK: - Types

extension SchemaResolver {
    mutating func entityTypes() throws(SchemaError) -> [EntityType: EntityTypeDefinition] {
        // Types that nothing refers to must be sound too.
        for name in common.keys.sorted() { _ = try commonType(name) }
        var definitions: [EntityType: EntityTypeDefinition] = [:]
        var parents: [EntityType: Set<EntityType>] = [:]
        for (type, (namespace, declaration)) in entities {
            switch declaration.kind {
            case .enumerated(let ids):
                definitions[type] = EntityTypeDefinition(type: type, kind: .enumerated(ids))
            case .standard(let names, let shape, let tags):
                guard case .record(let attributes) = try resolve(shape, in: namespace).type else {
                    throw undefined.isEmpty ? .shapeNotRecord(type.name) : .undefinedTypes(undefined.sorted())
                }
                let tagType = try tags.map { tags throws(SchemaError) in try resolve(tags, in: namespace).type }
                definitions[type] = EntityTypeDefinition(
                    type: type, kind: .standard(attributes: attributes, tags: tagType))
                parents[type] = Set(names.compactMap { entityType($0, in: namespace) })
            }
        }
        guard undefined.isEmpty else { throw .undefinedTypes(undefined.sorted()) }
        try refuseUndeclared(Set(parents.values.joined()))
        for (type, ancestors) in try Self.closure(parents) {
            definitions[type]?.ancestors = ancestors
            for ancestor in ancestors { definitions[ancestor]?.descendants.insert(type) }
        }
        return definitions
    }

    /// Actions are entities, but no schema declares their type.
    private func refuseUndeclared(_ types: Set<EntityType>) throws(SchemaError) {
        let undeclared = types.filter { entities[$0] == nil }.map(\.name)
        guard undeclared.isEmpty else { throw .undeclaredEntityTypes(undeclared.sorted()) }
    }

    private mutating func resolve(_ type: SchemaType, in namespace: String) throws(SchemaError) -> Resolved {
        switch type {
        case .bool: return Resolved(type: .bool)
        case .long: return Resolved(type: .long)
        case .string: return Resolved(type: .string)
        case .set(let element):
            let element = try resolve(element, in: namespace)
            return try Self.bounded(
                Resolved(type: .set(element.type), size: element.size + 1, depth: element.depth + 1))
        case .record(let attributes, let open):
            guard !open else { throw .openRecord }
            return try record(attributes, in: namespace)
        case .entity(let name):
            return Resolved(type: entityType(name, in: namespace).map { .entity($0) } ?? .never)
        case .ext(let name):
            guard let type = ExtensionType(rawValue: name) else { throw .unknownExtensionType(name) }
            return Resolved(type: .ext(type))
        case .common(let name): return try reference(name, in: namespace, [.common])
        case .named(let name): return try reference(name, in: namespace, [.common, .entity])
        }
    }

    private mutating func record(
        _ attributes: [Text: SchemaAttribute], in namespace: String
    ) throws(SchemaError) -> Resolved {
        var types: [Text: AttributeType] = [:]
        var (size, depth) = (1, 1)
        for (name, attribute) in attributes {
            let resolved = try resolve(attribute.type, in: namespace)
            types[name] = AttributeType(resolved.type, isRequired: attribute.isRequired)
            size += resolved.size
            depth = max(depth, resolved.depth + 1)
        }
        return try Self.bounded(Resolved(type: .record(RecordType(attributes: types)), size: size, depth: depth))
    }

    private static func bounded(_ type: Resolved) throws(SchemaError) -> Resolved {
        guard type.size <= maximumSize, type.depth <= maximumDepth else { throw .tooLarge }
        return type
    }

    private mutating func reference(
        _ name: String, in namespace: String, _ meanings: Set<Meaning>
    ) throws(SchemaError) -> Resolved {
        for candidate in Self.candidates(name, in: namespace) {
            if meanings.contains(.common), let type = try commonType(candidate) { return type }
            if meanings.contains(.entity), let type = declaredEntityType(candidate) {
                return Resolved(type: .entity(type))
            }
        }
        undefined.insert(name)
        return Resolved(type: .never)
    }

    private mutating func entityType(_ name: String, in namespace: String) -> EntityType? {
        for candidate in Self.candidates(name, in: namespace) {
            if let type = declaredEntityType(candidate) { return type }
        }
        undefined.insert(name)
        return nil
    }

    /// An entity type that is declared, or that of actions that are.
    private func declaredEntityType(_ name: String) -> EntityType? {
        guard let type = EntityType(name) else { return nil }
        return entities[type] != nil || (type.isAction && actions.keys.contains { $0.type == type }) ? type : nil
    }

    private static func candidates(_ name: String, in namespace: String) -> [String] {
        name.contains("::") || namespace.isEmpty ? [name] : ["\(namespace)::\(name)", name]
    }

    /// Nil if there is none of this full name.
    private mutating func commonType(_ name: String) throws(SchemaError) -> Resolved? {
        if let known = resolved[name] { return known }
        guard let (namespace, declaration) = common[name] else {
            // The types of the language can be named without `__cedar`, where the empty namespace has none of the name.
            let plain = name.hasPrefix("__cedar::") ? String(name.dropFirst("__cedar::".count)) : name
            guard plain != name || EntityType(name).map({ entities[$0] == nil }) ?? true else { return nil }
            return Self.builtin[plain].map { Resolved(type: $0) }
        }
        guard open.insert(name).inserted else { throw .typeCycle(name) }
        guard open.count <= Self.maximumDepth else { throw .tooLarge }
        let type = try resolve(declaration.type, in: namespace)
        open.remove(name)
        resolved[name] = type
        return type
    }
}

// MARK: - Actions

extension SchemaResolver {
    mutating func actions(
        _ entityTypes: [EntityType: EntityTypeDefinition]
    ) throws(SchemaError) -> [EntityUID: ActionDefinition] {
        var definitions: [EntityUID: ActionDefinition] = [:]
        var parents: [EntityUID: Set<EntityUID>] = [:]
        var undefinedActions: Set<String> = []
        for (uid, (namespace, declaration)) in actions {
            let application = declaration.application ?? .init(principals: [], resources: [], context: .empty)
            guard case .record(let context) = try resolve(application.context, in: namespace).type else {
                throw undefined.isEmpty ? .contextNotRecord(uid) : .undefinedTypes(undefined.sorted())
            }
            definitions[uid] = ActionDefinition(
                uid: uid, principals: Set(application.principals.compactMap { entityType($0, in: namespace) }).sorted(),
                resources: Set(application.resources.compactMap { entityType($0, in: namespace) }).sorted(),
                context: context)
            for group in declaration.groups ?? [] {
                if let parent = action(group, in: namespace) {
                    parents[uid, default: []].insert(parent)
                } else {
                    undefinedActions.insert("\(group.type ?? "Action")::\(StringLiteral.quoted(group.id.string))")
                }
            }
        }
        guard undefined.isEmpty else { throw .undefinedTypes(undefined.sorted()) }
        guard undefinedActions.isEmpty else { throw .undefinedActions(undefinedActions.sorted()) }
        try refuseUndeclared(Set(definitions.values.flatMap { $0.principals + $0.resources }))
        for (uid, ancestors) in try Self.closure(parents) {
            guard !ancestors.contains(uid) else { throw .actionCycle(uid) }
            definitions[uid]?.ancestors = ancestors
            for ancestor in ancestors { definitions[ancestor]?.descendants.insert(uid) }
        }
        return definitions
    }

    private func action(_ group: ActionDeclaration.Group, in namespace: String) -> EntityUID? {
        Self.candidates(group.type ?? "Action", in: namespace).lazy
            .compactMap { EntityType($0) }.map { EntityUID(type: $0, id: group.id.string) }
            .first { actions[$0] != nil }
    }

    /// Everything above each node, which is itself too if there is a way back.
    private static func closure<Node: Hashable>(
        _ parents: [Node: Set<Node>]
    ) throws(SchemaError) -> [Node: Set<Node>] {
        var closure: [Node: Set<Node>] = [:]
        var total = 0
        for node in parents.keys {
            var seen: Set<Node> = []
            var open = Array(parents[node] ?? [])
            while let next = open.popLast() {
                if seen.insert(next).inserted { open.append(contentsOf: parents[next] ?? []) }
            }
            total += seen.count
            guard total <= maximumAncestors else { throw .tooLarge }
            closure[node] = seen
        }
        return closure
    }
}
