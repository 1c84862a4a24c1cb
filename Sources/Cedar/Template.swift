/// A policy with blanks: `?principal` or `?resource` stand in its scope for entities that a link gives.
///
/// Cedar docs, _Policy templates_.
public struct Template: Equatable, Sendable, Identifiable, CustomStringConvertible {
    public var id: String
    public let annotations: [Annotation]
    public let effect: Effect
    public let principal: SlotConstraint
    public let action: ActionConstraint
    public let resource: SlotConstraint
    public let conditions: [Condition]
    public let range: SourceRange

    public init(
        id: String, annotations: [Annotation] = [], effect: Effect, principal: SlotConstraint,
        action: ActionConstraint, resource: SlotConstraint, conditions: [Condition] = [], range: SourceRange
    ) {
        (self.id, self.annotations, self.effect) = (id, annotations, effect)
        (self.principal, self.action, self.resource) = (principal, action, resource)
        (self.conditions, self.range) = (conditions, range)
    }

    /// The slots there are, in the order of the scope.
    public var slots: [Slot] {
        [Slot.principal].filter { _ in principal.hasSlot } + [Slot.resource].filter { _ in resource.hasSlot }
    }

    /// The template in canonical form, which parses to an equal one.
    public var description: String {
        annotations.map { "\($0)\n" }.joined()
            + ([
                "\(effect) (principal\(principal.text(.principal)), action\(action), resource\(resource.text(.resource)))"
            ]
            + conditions.map(\.description)).joined(separator: "\n") + ";"
    }

    /// The policy with these entities for the slots.
    public func linked(as id: String, _ values: [Slot: EntityUID]) throws(PolicySetError) -> Policy {
        if let missing = slots.first(where: { values[$0] == nil }) { throw .missingSlot(missing, of: self.id) }
        if let extra = values.keys.sorted(by: { $0.rawValue < $1.rawValue }).first(where: { !slots.contains($0) }) {
            throw .unknownSlot(extra, of: self.id)
        }
        let scope = Scope(
            principal: principal.filled(with: values[.principal]), action: action,
            resource: resource.filled(with: values[.resource]))
        var policy = Policy(
            id: id, annotations: annotations, effect: effect, scope: scope, conditions: conditions, range: range)
        policy.link = TemplateLink(template: self.id, values: values)
        return policy
    }
}

/// A blank of a template.
public enum Slot: String, Hashable, Sendable {
    case principal = "?principal"
    case resource = "?resource"
}

/// Where a policy comes from that was made of a template.
public struct TemplateLink: Hashable, Sendable {
    public let template: Template.ID
    public let values: [Slot: EntityUID]
}

/// Which principals or resources, once the slot is filled.
public enum SlotConstraint: Hashable, Sendable {
    case fixed(EntityConstraint)
    case equal
    case within
    case isTypeWithin(EntityType)

    var hasSlot: Bool { if case .fixed = self { false } else { true } }

    fileprivate func text(_ slot: Slot) -> String {
        switch self {
        case .fixed(let constraint): constraint.description
        case .equal: " == \(slot.rawValue)"
        case .within: " in \(slot.rawValue)"
        case .isTypeWithin(let type): " is \(type) in \(slot.rawValue)"
        }
    }

    fileprivate func filled(with entity: EntityUID?) -> EntityConstraint {
        switch (self, entity) {
        case (.fixed(let constraint), _): constraint
        case (.equal, let entity?): .equal(entity)
        case (.within, let entity?): .within(entity)
        case (.isTypeWithin(let type), let entity?): .isTypeWithin(type, entity)
        // Whoever links has looked that each slot is given.
        case (_, nil): .any
        }
    }
}
