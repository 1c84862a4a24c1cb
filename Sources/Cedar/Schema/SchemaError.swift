/// Why a schema was refused.
public enum SchemaError: Error, Equatable, CustomStringConvertible {
    /// The text is not of the Cedar schema format.
    case syntax(ParseError)
    /// The document is not of the JSON schema format.
    case json(JSONError)
    case undefinedTypes([String])
    case undefinedActions([String])
    case undeclaredEntityTypes([String])
    case duplicateDeclaration(String)
    /// A declaration in a namespace that hides one of the empty namespace (RFC 70).
    case shadowing(String, by: String)
    case actionCycle(EntityUID)
    case typeCycle(String)
    case shapeNotRecord(String)
    case contextNotRecord(EntityUID)
    case actionTypeDeclared(String)
    case unknownExtensionType(String)
    case actionAttributes(String)
    case openRecord
    case tooLarge

    public var description: String {
        switch self {
        case .syntax(let error): "cannot read the schema: \(error)"
        case .json(let error): "cannot read the schema: \(error)"
        case .undefinedTypes(let names): "the schema names types that nobody declares: \(Self.list(names))"
        case .undefinedActions(let names): "the schema names actions that nobody declares: \(Self.list(names))"
        case .undeclaredEntityTypes(let names):
            "the schema names entity types that nobody declares: \(Self.list(names))"
        case .duplicateDeclaration(let name): "`\(name)` is declared twice in the schema"
        case .shadowing(let name, let other): "the declaration of `\(other)` hides that of `\(name)`"
        case .actionCycle(let action): "the action `\(action)` belongs to itself"
        case .typeCycle(let name): "the type `\(name)` is declared by itself"
        case .shapeNotRecord(let name): "the attributes of `\(name)` are not declared as a record"
        case .contextNotRecord(let action): "the context of `\(action)` is not declared as a record"
        case .actionTypeDeclared(let name): "`\(name)` is the type of actions and cannot be declared as an entity type"
        case .unknownExtensionType(let name): "there is no extension type `\(name)`"
        case .actionAttributes(let action): "the action `\(action)` has attributes, which are not of the language"
        case .openRecord: "a record with attributes beyond those declared is not of the language"
        case .tooLarge: "the types of the schema are too large"
        }
    }

    private static func list(_ names: [String]) -> String { names.map { "`\($0)`" }.joined(separator: ", ") }
}
