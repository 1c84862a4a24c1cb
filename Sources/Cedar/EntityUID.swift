/// The type of an entity, such as `Agent` or `orders_db::orders`.
public struct EntityType: Hashable, Sendable, Comparable, CustomStringConvertible, ExpressibleByStringLiteral {
    /// Identifiers joined by `::`; ASCII only, so that equal means equal bytes.
    public let name: String

    /// Nil unless the name is one that a policy can spell.
    public init?(_ name: String) {
        let bytes = Array(name.utf8)
        var rest = bytes[...]
        while true {
            let component = rest.prefix { $0 != UInt8(ascii: ":") }
            guard Identifier.isValid(component),
                !Identifier.reserved.contains(String(decoding: component, as: UTF8.self))
            else { return nil }
            rest = rest.dropFirst(component.count)
            if rest.isEmpty { break }
            guard rest.starts(with: "::".utf8) else { return nil }
            rest = rest.dropFirst(2)
        }
        self.name = name
    }

    init(components: [String]) { name = components.joined(separator: "::") }

    /// For types written in a program; a name that is none is a bug there.
    public init(stringLiteral name: StaticString) {
        guard let type = EntityType("\(name)") else { preconditionFailure("`\(name)` is no entity type") }
        self = type
    }

    /// The last component: `orders` in `orders_db::orders`.
    public var basename: Substring { name.split(separator: "::").last ?? Substring(name) }

    public var description: String { name }

    public static func < (left: EntityType, right: EntityType) -> Bool {
        left.name.utf8.lexicographicallyPrecedes(right.name.utf8)
    }
}

/// The name of one entity: `Agent::"writer"`.
///
/// Two ids are the same only if their bytes are. Swift's `String` would also hold canonically equivalent spellings for
/// equal, and then one agent could be named so that it takes another's policies.
public struct EntityUID: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let type: EntityType
    public let id: String

    public init(type: EntityType, id: String) {
        self.type = type
        self.id = id
    }

    public var description: String { "\(type)::\(StringLiteral.quoted(id))" }

    public static func == (left: EntityUID, right: EntityUID) -> Bool {
        left.type == right.type && Bytes.areEqual(left.id, right.id)
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(type)
        unsafe id.utf8.span.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
    }

    public static func < (left: EntityUID, right: EntityUID) -> Bool {
        if left.type != right.type { return left.type < right.type }
        return left.id.utf8.lexicographicallyPrecedes(right.id.utf8)
    }
}

/// What an identifier is.
enum Identifier {
    /// Words that name no entity type.
    static let reserved: Set<String> = ["true", "false", "if", "then", "else", "in", "like", "has", "is", "__cedar"]

    static func isValid(_ bytes: some Collection<UInt8>) -> Bool {
        guard let first = bytes.first, isStart(first) else { return false }
        return bytes.allSatisfy(isPart)
    }

    static func isStart(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"): true
        default: false
        }
    }

    static func isPart(_ byte: UInt8) -> Bool { isStart(byte) || isDigit(byte) }

    static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
}
