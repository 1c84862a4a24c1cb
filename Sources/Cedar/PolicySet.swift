/// What the policies of a text are called.
public enum PolicyNaming: Sendable {
    /// By their annotation `@id`, or else by their place.
    case annotation
    /// By their place in the text: `policy0`, `policy1` and so on, whatever they say of themselves.
    case place
}

/// Policies and templates with unique ids.
///
/// Cedar docs, _Policies_ and _Policy templates_.
public struct PolicySet: Sendable {
    public static let maximumTextBytes = 1 << 20
    public static let maximumPolicies = 10_000
    /// How many mistakes are reported at once.
    public static let maximumDiagnostics = 20

    /// In the order of their text.
    public let policies: [Policy]
    /// What policies can be linked to; they decide nothing themselves.
    public let templates: [Template]

    /// Reads a policy text.
    public init(
        parsing text: String, naming: PolicyNaming = .annotation, allowingTemplates: Bool = false
    ) throws(ParseError) {
        let statements = try Parser.statements(of: text, naming: naming, allowingTemplates: allowingTemplates)
        policies = statements.compactMap(\.policy)
        templates = statements.filter { $0.policy == nil }
    }

    /// Joins policies that were read before, such as those of several texts.
    public init(_ policies: [Policy], templates: [Template] = []) throws(PolicySetError) {
        guard policies.count + templates.count <= Self.maximumPolicies else { throw .tooManyPolicies }
        var ids: Set<String> = []
        for id in policies.map(\.id) + templates.map(\.id) where !ids.insert(id).inserted { throw .duplicateID(id) }
        self.policies = policies
        self.templates = templates
    }

    /// The set with one more policy, made of a template.
    public func linking(
        _ template: Template.ID, as id: Policy.ID, _ values: [Slot: EntityUID]
    ) throws(PolicySetError) -> PolicySet {
        guard let template = templates.first(where: { $0.id == template }) else { throw .noSuchTemplate(template) }
        return try PolicySet(policies + [template.linked(as: id, values)], templates: templates)
    }
}

/// Why policies cannot stand in one set.
public enum PolicySetError: Error, Equatable, CustomStringConvertible {
    case tooManyPolicies
    case duplicateID(String)
    case noSuchTemplate(String)
    case missingSlot(Slot, of: Template.ID)
    case unknownSlot(Slot, of: Template.ID)

    public var description: String {
        switch self {
        case .tooManyPolicies: "more than \(PolicySet.maximumPolicies) policies in one set"
        case .duplicateID(let id): "two policies have the id \(StringLiteral.quoted(id))"
        case .noSuchTemplate(let id): "there is no template \(StringLiteral.quoted(id))"
        case .missingSlot(let slot, let id):
            "a link to the template \(StringLiteral.quoted(id)) gives nothing for `\(slot.rawValue)`"
        case .unknownSlot(let slot, let id): "the template \(StringLiteral.quoted(id)) has no `\(slot.rawValue)`"
        }
    }
}
