/// A schema as it is written, in either form: its names are not resolved, and it may be wrong.
///
/// Cedar docs, _Cedar schema format_ and _JSON schema format_.
public struct SchemaFragment: Equatable, Sendable {
    /// The longest text that is read.
    public static let maximumTextBytes = 4 << 20

    /// By name; the empty one needs none.
    public internal(set) var namespaces: [String: SchemaNamespace] = [:]
}

/// What is declared under one name, such as `N` in `N::User`.
public struct SchemaNamespace: Equatable, Sendable {
    public internal(set) var annotations: [SchemaAnnotation] = []
    public internal(set) var commonTypes: [String: CommonTypeDeclaration] = [:]
    public internal(set) var entityTypes: [String: EntityTypeDeclaration] = [:]
    public internal(set) var actions: [Text: ActionDeclaration] = [:]
}

/// A note on something in a schema: `@key("value")`, or `@key`.
public struct SchemaAnnotation: Equatable, Sendable {
    public let key: String
    public let value: Text?
}

/// `type T = …;`
public struct CommonTypeDeclaration: Equatable, Sendable {
    public let annotations: [SchemaAnnotation]
    public let type: SchemaType
}

/// `entity E …;`
public struct EntityTypeDeclaration: Equatable, Sendable {
    public enum Kind: Equatable, Sendable {
        /// With the types that it may belong to, its attributes, and the type of each of its tags.
        case standard(parents: [String], shape: SchemaType, tags: SchemaType?)
        /// With the ids there are; never empty.
        case enumerated([Text])
    }

    public let annotations: [SchemaAnnotation]
    public let kind: Kind
}

/// `action "a" …;`
public struct ActionDeclaration: Equatable, Sendable {
    /// The name of an action group, with its type where that is written.
    public struct Group: Hashable, Sendable {
        public let type: String?
        public let id: Text
    }

    /// What the action can be asked for.
    public struct Application: Equatable, Sendable {
        public let principals: [String]
        public let resources: [String]
        public let context: SchemaType
    }

    public let annotations: [SchemaAnnotation]
    /// Nil and empty mean the same, but are written differently in JSON.
    public let groups: [Group]?
    /// Nil for an action that only groups others.
    public let application: Application?
    /// Whether the attributes of actions are mentioned, which no schema may have.
    var hasAttributes = false
}

/// A type as it is written in a schema.
public indirect enum SchemaType: Equatable, Sendable {
    case bool, long, string
    case set(SchemaType)
    /// - Parameter open: whether there may be more attributes, which no schema may say.
    case record([Text: SchemaAttribute], open: Bool)
    case entity(String)
    case ext(String)
    /// A name that may be declared by `type` only, in JSON.
    case common(String)
    /// A name that may be declared by `type` or `entity`.
    case named(String)

    /// `{}`
    static let empty = SchemaType.record([:], open: false)
}

/// The type of one attribute, and whether it may be missing.
public struct SchemaAttribute: Equatable, Sendable {
    public let annotations: [SchemaAnnotation]
    public let type: SchemaType
    public let isRequired: Bool
}

/// The names that a schema cannot give to a type of its own.
enum SchemaNames {
    static let keywords: Set<String> = [
        "Bool", "Boolean", "Entity", "Extension", "Long", "Record", "Set", "String",
    ]

    /// `N::T` from `N` and `T`; the empty namespace adds nothing.
    static func join(_ namespace: String, _ name: String) -> String {
        namespace.isEmpty ? name : "\(namespace)::\(name)"
    }

    /// Whether the name may be declared by a schema.
    static func isDeclarable(_ name: String) -> Bool { EntityType(name) != nil && !name.contains(":") }

    /// Whether the name may be referred to: as the names of entity types, but `__cedar` may stand in it.
    static func isReference(_ name: String) -> Bool {
        EntityType(
            name.split(separator: "::", omittingEmptySubsequences: false)
                .map { $0 == "__cedar" ? "cedar" : String($0) }.joined(separator: "::")) != nil
    }
}
