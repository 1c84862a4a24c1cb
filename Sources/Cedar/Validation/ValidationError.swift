/// Why a policy could go wrong on a request and entities that the schema allows, or can never apply.
public struct ValidationError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Kind: Hashable, Sendable {
        case unrecognizedEntityType(EntityType)
        case unrecognizedAction(EntityUID)
        /// No action that the scope allows can be asked for by such a principal, for such a resource.
        case invalidActionApplication(inWouldFixPrincipal: Bool, inWouldFixResource: Bool)
        case unexpectedType(expected: [StaticType], found: StaticType)
        case incompatibleTypes([StaticType], NoBound, Comparison)
        case unsafeAttributeAccess(Text, of: StaticType, suggestion: Text?)
        case unsafeOptionalAttributeAccess(Text, of: StaticType)
        case unsafeTagAccess(of: StaticType)
        case noTagsAllowed(StaticType)
        case wrongArgumentCount(ExtensionFunction, expected: Int, found: Int)
        case invalidExtensionLiteral(ExtensionFunction, String)
        case emptySet
        case nonLiteralConstructor(ExtensionFunction)
        case invalidEnumEntity(EntityUID, choices: [Text])
        /// An entity is looked at that is further away than the level allows.
        case levelExceeded(maximum: Int, found: Int)
        /// What is known of an entity that a policy names is never given to it.
        case literalDereference
        case tooDeep
    }

    /// Where two types must go together.
    public enum Comparison: String, Hashable, Sendable {
        case conditional = "the branches of an `if`"
        case set = "the members of a set"
        case equality = "both sides of `==`"
        case contains = "a set and what it may contain"
        case containsAnyAll = "the two sets"
        case tag = "the tags of an entity"
    }

    public let policy: String
    public let kind: Kind
    public let range: SourceRange?

    init(policy: String, _ kind: Kind, at range: SourceRange?) {
        (self.policy, self.kind, self.range) = (policy, kind, range)
    }

    /// `policy: line:column: reason`
    public var description: String {
        "policy \(StringLiteral.quoted(policy)): " + (range.map { "\($0.start): \(kind)" } ?? "\(kind)")
    }
}

extension ValidationError.Kind: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unrecognizedEntityType(let type): "the schema has no entity type `\(type)`"
        case .unrecognizedAction(let action): "the schema has no action `\(action)`"
        case .invalidActionApplication(let principal, let resource):
            "no action of this scope applies to such a principal and resource"
                + (principal ? "; try `in` for `==` behind `principal`" : "")
                + (resource ? "; try `in` for `==` behind `resource`" : "")
        case .unexpectedType(let expected, let found):
            "expected \(expected.map(\.description).joined(separator: " or ")), found \(found)"
        case .incompatibleTypes(let types, let reason, let comparison):
            "\(comparison.rawValue) have types that do not go together: "
                + types.map(\.description).joined(separator: " and ") + reason.hint
        case .unsafeAttributeAccess(let name, let type, let suggestion):
            "\(type) has no attribute `\(RecordKey.printed(name))`"
                + (suggestion.map { "; did you mean `\(RecordKey.printed($0))`?" } ?? "")
        case .unsafeOptionalAttributeAccess(let name, let type):
            "the attribute `\(RecordKey.printed(name))` of \(type) may be missing: ask for it with `has` first"
        case .unsafeTagAccess(let type): "this tag of \(type) may be missing: ask for it with `hasTag` first"
        case .noTagsAllowed(let type): "\(type) has no tags"
        case .wrongArgumentCount(let function, let expected, let found):
            "`\(function.rawValue)` takes \(expected) arguments with the value it is called on, not \(found)"
        case .invalidExtensionLiteral(_, let reason): reason
        case .emptySet: "the type of an empty set is not known"
        case .nonLiteralConstructor(let function): "`\(function.rawValue)` takes a string in quotes only"
        case .invalidEnumEntity(let entity, let choices):
            "there is no `\(entity)`, only "
                + choices.prefix(20).map { StringLiteral.quoted($0.string) }.joined(separator: ", ")
        case .levelExceeded(let maximum, let found): "looks \(found) entities far, but only \(maximum) are given"
        case .literalDereference: "looks at an entity that stands in the policy, which is not given"
        case .tooDeep: "is nested too deep to be checked"
        }
    }
}

extension NoBound {
    fileprivate var hint: String {
        switch self {
        case .none: ""
        case .entityTypes: ", which are different entity types"
        case .entityAndRecord: ", which are an entity and a record"
        case .recordWidth: ", of which one has attributes that the other has not"
        case .attributeQualifier: ", of which one may lack an attribute that the other always has"
        }
    }
}

/// What is odd about a policy, though it may be as meant.
public struct ValidationWarning: Hashable, Sendable, CustomStringConvertible {
    public enum Kind: Hashable, Sendable {
        /// It applies to no request that the schema allows.
        case impossiblePolicy
        case mixedScriptString(String)
        case bidirectionalString(String)
        case mixedScriptIdentifier(String)
        case bidirectionalIdentifier(String)
        case confusableIdentifier(String, Unicode.Scalar)
    }

    public let policy: String
    public let kind: Kind
    public let range: SourceRange?

    public var description: String {
        "policy \(StringLiteral.quoted(policy)): " + (range.map { "\($0.start): \(kind)" } ?? "\(kind)")
    }
}

extension ValidationWarning.Kind: CustomStringConvertible {
    public var description: String {
        switch self {
        case .impossiblePolicy: "applies to no request that the schema allows"
        case .mixedScriptString(let text): "the string \(StringLiteral.quoted(text)) mixes scripts"
        case .bidirectionalString(let text): "the string \(StringLiteral.quoted(text)) turns the direction of text"
        case .mixedScriptIdentifier(let name): "the name \(StringLiteral.quoted(name)) mixes scripts"
        case .bidirectionalIdentifier(let name): "the name \(StringLiteral.quoted(name)) turns the direction of text"
        case .confusableIdentifier(let name, let scalar):
            "the name \(StringLiteral.quoted(name)) has the character U+"
                + String(scalar.value, radix: 16, uppercase: true) + ", which is not for names"
        }
    }
}
