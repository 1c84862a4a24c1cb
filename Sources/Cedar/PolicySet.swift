/// Policies with unique ids, and the index by which a request finds those that may match it.
public struct PolicySet: Sendable {
    public static let maximumTextBytes = 1 << 20
    public static let maximumPolicies = 10_000
    /// How many mistakes are reported at once.
    public static let maximumDiagnostics = 20

    /// In the order of their text.
    public let policies: [Policy]
    let index: ScopeIndex

    /// Reads a policy text.
    public init(parsing text: String) throws(ParseError) {
        policies = try Parser.policies(of: text)
        index = ScopeIndex(policies)
    }

    /// Joins policies that were read before, such as those of several texts.
    public init(_ policies: [Policy]) throws(PolicySetError) {
        guard policies.count <= Self.maximumPolicies else { throw .tooManyPolicies }
        var ids: Set<String> = []
        for policy in policies where !ids.insert(policy.id).inserted { throw .duplicateID(policy.id) }
        self.policies = policies
        index = ScopeIndex(policies)
    }
}

/// Why policies cannot stand in one set.
public enum PolicySetError: Error, Equatable, CustomStringConvertible {
    case tooManyPolicies
    case duplicateID(String)

    public var description: String {
        switch self {
        case .tooManyPolicies: "more than \(PolicySet.maximumPolicies) policies in one set"
        case .duplicateID(let id): "two policies have the id \(StringLiteral.quoted(id))"
        }
    }
}
