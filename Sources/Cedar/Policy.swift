/// What a policy does to the requests it matches.
public enum Effect: String, Sendable, CustomStringConvertible {
    case permit, forbid

    public var description: String { rawValue }
}

/// A note on a policy: `@key("value")`, or `@key`, which means `@key("")`.
public struct Annotation: Equatable, Sendable, CustomStringConvertible {
    public let key: String
    public let value: String
    public let range: SourceRange
    /// Whether it is written without a value.
    var isBare = false

    public var description: String { isBare ? "@\(key)" : "@\(key)(\(StringLiteral.quoted(value)))" }
}

/// One permit or forbid.
public struct Policy: Equatable, Sendable, Identifiable, CustomStringConvertible {
    /// The `@id` annotation, or else `policyN` by the policy's place in its text.
    public var id: String
    public let annotations: [Annotation]
    public let effect: Effect
    public let scope: Scope
    /// In the order of the text. The policy matches if each of them holds.
    public let conditions: [Condition]
    public let range: SourceRange
    /// The template it was made of, if any.
    public internal(set) var link: TemplateLink?

    public init(
        id: String, annotations: [Annotation] = [], effect: Effect, scope: Scope, conditions: [Condition] = [],
        range: SourceRange
    ) {
        (self.id, self.annotations, self.effect) = (id, annotations, effect)
        (self.scope, self.conditions, self.range) = (scope, conditions, range)
    }

    /// The value of the annotation with this key.
    public func annotation(_ key: String) -> String? { annotations.first { $0.key == key }?.value }

    /// The policy in canonical form, which parses to an equal policy.
    public var description: String {
        annotations.map { "\($0)\n" }.joined()
            + (["\(effect) \(scope)"] + conditions.map(\.description)).joined(separator: "\n") + ";"
    }
}

/// What a policy asks for beside its scope.
public struct Condition: Hashable, Sendable, CustomStringConvertible {
    public enum Kind: String, Sendable { case when, unless }

    public let kind: Kind
    public let body: Expression

    public init(_ kind: Kind, _ body: Expression) { (self.kind, self.body) = (kind, body) }

    public var description: String { "\(kind.rawValue) { \(body) }" }
}

/// Which requests a policy speaks about.
public struct Scope: Hashable, Sendable, CustomStringConvertible {
    public let principal: EntityConstraint
    public let action: ActionConstraint
    public let resource: EntityConstraint

    public init(principal: EntityConstraint, action: ActionConstraint, resource: EntityConstraint) {
        self.principal = principal
        self.action = action
        self.resource = resource
    }

    public var description: String { "(principal\(principal), action\(action), resource\(resource))" }
}

/// Which principals, or which resources.
public enum EntityConstraint: Hashable, Sendable, CustomStringConvertible {
    case any
    case equal(EntityUID)
    case within(EntityUID)
    case isType(EntityType)
    case isTypeWithin(EntityType, EntityUID)

    /// What follows the variable's name in a policy.
    public var description: String {
        switch self {
        case .any: ""
        case .equal(let entity): " == \(entity)"
        case .within(let entity): " in \(entity)"
        case .isType(let type): " is \(type)"
        case .isTypeWithin(let type, let entity): " is \(type) in \(entity)"
        }
    }
}

/// Which actions.
public enum ActionConstraint: Hashable, Sendable, CustomStringConvertible {
    case any
    case equal(EntityUID)
    /// Any of these or of what stands below them; with an empty list, none.
    case within([EntityUID])

    /// What follows `action` in a policy.
    public var description: String {
        switch self {
        case .any: ""
        case .equal(let action): " == \(action)"
        case .within(let actions) where actions.count == 1: " in \(actions[0])"
        case .within(let actions): " in [\(actions.map(\.description).joined(separator: ", "))]"
        }
    }
}
