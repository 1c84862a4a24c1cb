/// Why an entity or a request is not as the schema says.
public enum ConformanceError: Error, Hashable, Sendable, CustomStringConvertible {
    case undeclaredEntityType(EntityType)
    case undeclaredAction(EntityUID)
    /// The action is declared, but not so.
    case actionMismatch(EntityUID)
    case invalidEnumEntity(EntityUID)
    case missingAttribute(Text, of: EntityUID)
    case unexpectedAttribute(Text, of: EntityUID)
    case wrongAttributeType(Text, of: EntityUID, expected: StaticType)
    case unexpectedTag(Text, of: EntityUID)
    case wrongTagType(Text, of: EntityUID, expected: StaticType)
    case invalidAncestor(EntityUID, of: EntityUID)
    case undeclaredPrincipalType(EntityType)
    case undeclaredResourceType(EntityType)
    case invalidPrincipalType(EntityType, EntityUID)
    case invalidResourceType(EntityType, EntityUID)
    case invalidContext(EntityUID)

    public var description: String {
        switch self {
        case .undeclaredEntityType(let type): "the schema has no entity type `\(type)`"
        case .undeclaredAction(let action): "the schema has no action `\(action)`"
        case .actionMismatch(let action): "the action `\(action)` is not as the schema declares it"
        case .invalidEnumEntity(let entity): "the schema has no entity `\(entity)` among those of its type"
        case .missingAttribute(let name, let entity): "`\(entity)` lacks the attribute `\(RecordKey.printed(name))`"
        case .unexpectedAttribute(let name, let entity):
            "`\(entity)` has the attribute `\(RecordKey.printed(name))`, which the schema does not declare"
        case .wrongAttributeType(let name, let entity, let expected):
            "the attribute `\(RecordKey.printed(name))` of `\(entity)` is no \(expected)"
        case .unexpectedTag(let name, let entity):
            "`\(entity)` has the tag \(StringLiteral.quoted(name.string)), but the schema declares no tags for it"
        case .wrongTagType(let name, let entity, let expected):
            "the tag \(StringLiteral.quoted(name.string)) of `\(entity)` is no \(expected)"
        case .invalidAncestor(let ancestor, let entity): "`\(entity)` cannot belong to `\(ancestor)`"
        case .undeclaredPrincipalType(let type): "the schema has no entity type `\(type)`, which the principal is of"
        case .undeclaredResourceType(let type): "the schema has no entity type `\(type)`, which the resource is of"
        case .invalidPrincipalType(let type, let action): "`\(action)` does not apply to principals of type `\(type)`"
        case .invalidResourceType(let type, let action): "`\(action)` does not apply to resources of type `\(type)`"
        case .invalidContext(let action): "the context is not as the schema declares it for `\(action)`"
        }
    }
}
