/// What is known of a value before any request: the type of an expression, or what a schema declares.
///
/// Cedar docs, _Policy validation_.
public indirect enum StaticType: Hashable, Sendable {
    /// Of no value: the type below all others.
    case never
    case bool
    /// A boolean that is known.
    case always(Bool)
    case long
    case string
    /// Nil where the members may be anything.
    case set(StaticType?)
    case record(RecordType)
    /// An entity of one of these types; never empty.
    case entity(Set<EntityType>)
    case anyEntity
    case ext(ExtensionType)

    /// An entity of one type.
    static func entity(_ type: EntityType) -> StaticType { .entity([type]) }

    /// Any record at all.
    static let anyRecord = StaticType.record(RecordType(attributes: [:], isOpen: true))
}

/// The attributes of a record, or of an entity.
public struct RecordType: Hashable, Sendable {
    public let attributes: [Text: AttributeType]
    /// Whether there may be attributes beyond these; never so in a schema.
    public let isOpen: Bool

    public init(attributes: [Text: AttributeType], isOpen: Bool = false) {
        (self.attributes, self.isOpen) = (attributes, isOpen)
    }
}

/// The type of an attribute, and whether it is always there.
public struct AttributeType: Hashable, Sendable {
    public let type: StaticType
    public let isRequired: Bool

    public init(_ type: StaticType, isRequired: Bool = true) { (self.type, self.isRequired) = (type, isRequired) }
}

/// The types beyond those of the core language. Cedar docs, _Data types_.
public enum ExtensionType: String, Hashable, Sendable, CaseIterable {
    case ipaddr, decimal, datetime, duration

    /// Whether `<` and its kin compare such values.
    var hasOrder: Bool { self == .datetime || self == .duration }

    /// The function that makes such a value of a string.
    public var constructor: ExtensionFunction {
        switch self {
        case .ipaddr: .ip
        case .decimal: .decimal
        case .datetime: .datetime
        case .duration: .duration
        }
    }
}

extension StaticType: CustomStringConvertible {
    /// As a schema would write it, where it could.
    public var description: String {
        switch self {
        case .never: "nothing"
        case .bool: "Bool"
        case .always(let bool): "Bool (always \(bool))"
        case .long: "Long"
        case .string: "String"
        case .set(let element?): "Set<\(element)>"
        case .set(nil): "Set"
        case .record(let record): "\(record)"
        case .entity(let types): types.sorted().map(\.name).joined(separator: " or ")
        case .anyEntity: "any entity"
        case .ext(let type): type.rawValue
        }
    }
}

extension RecordType: CustomStringConvertible {
    public var description: String {
        let attributes = attributes.sorted { $0.key < $1.key }.map { name, attribute in
            "\(RecordKey.printed(name))\(attribute.isRequired ? "" : "?"): \(attribute.type)"
        }
        return isOpen && attributes.isEmpty
            ? "a record" : "{\(attributes.joined(separator: ", "))\(isOpen ? ", …" : "")}"
    }
}
