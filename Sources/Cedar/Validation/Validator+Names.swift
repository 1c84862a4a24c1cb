/// What a validator looks for in a policy as a whole: names that the schema does not know, and scopes that fit nothing.
extension Validator {
    func unknownNames(in policy: ValidatedPolicy) -> [ValidationError] {
        var errors: [ValidationError] = []
        func report(_ kind: ValidationError.Kind, _ range: SourceRange?) {
            errors.append(ValidationError(policy: policy.id, kind, at: range))
        }
        func check(_ type: EntityType, _ range: SourceRange?) {
            if !schema.knows(type) { report(.unrecognizedEntityType(type), range) }
        }
        policy.condition.visit { expression in
            switch expression.kind {
            case .isType(_, let type, _): check(type, expression.range)
            case .literal(.entity(let entity)):
                check(entity.type, expression.range)
                if entity.type.isAction, schema.actions[entity] == nil {
                    report(.unrecognizedAction(entity), expression.range)
                }
                if case .enumerated(let ids)? = schema.entityTypes[entity.type]?.kind, !ids.contains(Text(entity.id)) {
                    report(.invalidEnumEntity(entity, choices: ids), expression.range)
                }
            default: break
            }
        }
        return errors
    }

    /// Some action of the scope must apply to some principal and resource of the scope.
    func actionApplication(of policy: ValidatedPolicy) -> [ValidationError] {
        let actions = actions(matching: policy.action).compactMap { schema.actions[$0] }
        let principals = types(matching: policy.principal)
        let resources = types(matching: policy.resource)
        let applies = actions.contains { action in
            action.principals.contains(where: principals.contains)
                && action.resources.contains(where: resources.contains)
        }
        guard !applies else { return [] }
        let kind = ValidationError.Kind.invalidActionApplication(
            inWouldFixPrincipal: wouldFit(policy.principal, actions.map(\.principals)),
            inWouldFixResource: wouldFit(policy.resource, actions.map(\.resources)))
        return [ValidationError(policy: policy.id, kind, at: policy.range)]
    }

    private func actions(matching constraint: ActionConstraint) -> Set<EntityUID> {
        switch constraint {
        case .any: Set(schema.actions.keys)
        case .equal(let action): [action]
        case .within(let groups): schema.actions(within: groups) ?? []
        }
    }

    private func types(matching constraint: SlotConstraint) -> Set<EntityType> {
        switch constraint {
        case .fixed(.any), .equal, .within: Set(schema.entityTypes.keys)
        case .fixed(.equal(let entity)): [entity.type]
        case .fixed(.within(let entity)): schema.types(within: entity.type)
        case .fixed(.isType(let type)), .isTypeWithin(let type): schema.knows(type) ? [type] : []
        case .fixed(.isTypeWithin(let type, let entity)): schema.types(within: entity.type).intersection([type])
        }
    }

    /// Whether `in` would do where `==` does not.
    private func wouldFit(_ constraint: SlotConstraint, _ applicable: [[EntityType]]) -> Bool {
        guard case .fixed(.equal(let entity)) = constraint else { return false }
        let types = Set(applicable.joined())
        return !types.contains(entity.type)
            && !(schema.entityTypes[entity.type]?.descendants ?? []).isDisjoint(with: types)
    }
}
