/// A schema whose every name is resolved: which entities and actions there are, and of what types.
///
/// Cedar docs, _Schema_.
public struct Schema: Sendable {
    public let entityTypes: [EntityType: EntityTypeDefinition]
    public let actions: [EntityUID: ActionDefinition]
    /// In a fixed order, so that what is reported does not vary.
    public let sortedActions: [ActionDefinition]

    public init(_ fragment: SchemaFragment) throws(SchemaError) { try self.init([fragment]) }

    /// Reads the Cedar schema format.
    public init(parsing text: String) throws(SchemaError) { try self.init(SchemaFragment(parsing: text)) }

    /// Reads the JSON schema format.
    public init(parsingJSON text: String) throws(SchemaError) { try self.init(SchemaFragment(parsingJSON: text)) }

    /// Joins several fragments, whose names may refer to each other.
    public init(_ fragments: [SchemaFragment]) throws(SchemaError) {
        var resolver = try SchemaResolver(fragments)
        entityTypes = try resolver.entityTypes()
        actions = try resolver.actions(entityTypes)
        sortedActions = actions.values.sorted { $0.uid < $1.uid }
    }

    /// Whether the type is declared, or that of actions.
    func knows(_ type: EntityType) -> Bool { type.isAction || entityTypes[type] != nil }

    /// The types that an entity may have which belongs to one of this type.
    func types(within type: EntityType) -> Set<EntityType> {
        (entityTypes[type]?.descendants ?? []).union([type])
    }

    /// The actions that belong to one of these, with these; nil if one is not declared.
    func actions(within groups: [EntityUID]) -> Set<EntityUID>? {
        var all: Set<EntityUID> = []
        for group in groups {
            guard let definition = actions[group] else { return nil }
            all.formUnion(definition.descendants)
            all.insert(group)
        }
        return all
    }
}

extension EntityType {
    /// Whether it is the type of actions, in any namespace.
    public var isAction: Bool { basename == "Action" }
}

/// What a schema says of the entities of one type.
public struct EntityTypeDefinition: Sendable {
    public enum Kind: Sendable {
        case standard(attributes: RecordType, tags: StaticType?)
        case enumerated([Text])
    }

    public let type: EntityType
    public let kind: Kind
    /// The types that such an entity may belong to, near or far.
    public internal(set) var ancestors: Set<EntityType> = []
    /// The types of the entities that may belong to such a one.
    public internal(set) var descendants: Set<EntityType> = []

    public var attributes: RecordType {
        if case .standard(let attributes, _) = kind { attributes } else { RecordType(attributes: [:]) }
    }

    public var tags: StaticType? { if case .standard(_, let tags) = kind { tags } else { nil } }
}

/// What a schema says of one action.
public struct ActionDefinition: Sendable {
    public let uid: EntityUID
    public let principals: [EntityType]
    public let resources: [EntityType]
    public let context: RecordType
    /// The groups it stands in, near or far.
    public internal(set) var ancestors: Set<EntityUID> = []
    public internal(set) var descendants: Set<EntityUID> = []

    /// The action as an entity.
    public var entity: Entity { Entity(uid, in: ancestors.sorted()) }
}
