/// What an expression evaluates to.
public enum Value: Hashable, Sendable {
    case bool(Bool)
    case long(Int64)
    case string(Text)
    case entity(EntityUID)
    /// Its members may be of different types.
    case set(Set<Value>)
    case record([Text: Value])
    case decimal(Decimal)
    case ip(IPAddress)
    case datetime(Datetime)
    case duration(Duration)

    /// The type of a value, as errors name it.
    public enum Kind: String, Hashable, Sendable, CustomStringConvertible {
        case bool, long, string, entity, set, record, decimal, datetime, duration
        case ip = "ipaddr"

        public var description: String { rawValue }
    }

    public var kind: Kind {
        switch self {
        case .bool: .bool
        case .long: .long
        case .string: .string
        case .entity: .entity
        case .set: .set
        case .record: .record
        case .decimal: .decimal
        case .ip: .ip
        case .datetime: .datetime
        case .duration: .duration
        }
    }
}

extension Value: CustomStringConvertible {
    /// An expression that evaluates to the value.
    public var description: String {
        switch self {
        case .bool(let bool): "\(bool)"
        case .long(let long): "\(long)"
        case .string(let text): StringLiteral.quoted(text.string)
        case .entity(let entity): "\(entity)"
        // Sets and records have no order of their own; a printed one must.
        case .set(let members): "[\(members.map(\.description).sorted().joined(separator: ", "))]"
        case .record(let fields):
            "{\(fields.sorted { $0.key < $1.key }.map { "\(RecordKey.printed($0.key)): \($0.value)" }.joined(separator: ", "))}"
        case .decimal(let decimal): "decimal(\"\(decimal)\")"
        case .ip(let address): "ip(\"\(address)\")"
        case .datetime(let datetime): datetime.expression
        case .duration(let duration): "duration(\"\(duration)\")"
        }
    }
}

/// How the key of a record, or an attribute's name, is written.
enum RecordKey {
    static func printed(_ key: Text) -> String { isPlain(key) ? key.string : StringLiteral.quoted(key.string) }

    /// Whether the key can stand without quotes.
    static func isPlain(_ key: Text) -> Bool {
        Identifier.isValid(Array(key.string.utf8)) && !Identifier.reserved.contains(key.string)
    }
}
