/// Operators with two operands.
extension Typechecker {
    mutating func binary(
        _ operation: Expression.BinaryOperator, _ left: Expression, _ right: Expression, _ expression: Expression,
        _ known: Set<Capability>
    ) -> Answer {
        switch operation {
        case .equal: return equality(left, right, expression, known)
        case .notEqual:
            return equality(left, right, expression, known).then { equal, _ in
                if case .always(let bool)? = equal.type { return success(expression, .always(!bool), equal.children) }
                return success(expression, .bool, equal.children)
            }
        case .less, .lessOrEqual, .greater, .greaterOrEqual: return order(left, right, expression, known)
        case .in: return membership(left, right, expression, known)
        case .plus, .minus, .times:
            return expect([.long], left, known).then { left, _ in
                expect([.long], right, known).then { right, _ in success(expression, .long, [left, right]) }
            }
        case .contains:
            return expect([.set(nil)], left, known).then { left, _ in
                check(right, known).then { right, _ in
                    let element: StaticType? = if case .set(let element)? = left.type { element } else { nil }
                    return comparable(element, right.type, .contains, expression, [left, right])
                }
            }
        case .containsAll, .containsAny:
            return expect([.set(nil)], left, known).then { left, _ in
                expect([.set(nil)], right, known).then { right, _ in
                    comparable(left.type, right.type, .containsAnyAll, expression, [left, right])
                }
            }
        case .hasTag: return hasTag(left, right, expression, known)
        case .getTag: return getTag(left, right, expression, known)
        }
    }

    /// Strictly, what is compared must be of one type.
    private mutating func comparable(
        _ left: StaticType?, _ right: StaticType?, _ comparison: ValidationError.Comparison, _ expression: Expression,
        _ children: [TypedExpression]
    ) -> Answer {
        if mode == .strict, let left, let right, bound(of: [left, right], comparison, at: expression) == nil {
            return failure(expression, .bool, children)
        }
        return success(expression, .bool, children)
    }

    private mutating func equality(
        _ left: Expression, _ right: Expression, _ expression: Expression, _ known: Set<Capability>
    ) -> Answer {
        let first = check(left, known)
        let second = check(right, known)
        return first.then { typedLeft, _ in
            second.then { typedRight, _ in
                let children = [typedLeft, typedRight]
                if let leftType = typedLeft.type, let rightType = typedRight.type, leftType.isDisjoint(from: rightType)
                {
                    return success(expression, .always(false), children)
                }
                if let left = constant(left), let right = constant(right) {
                    return success(expression, .always(left == right), children)
                }
                return comparable(typedLeft.type, typedRight.type, .equality, expression, children)
            }
        }
    }

    /// The value of a literal, or of `action`.
    private func constant(_ expression: Expression) -> Value? {
        switch expression.kind {
        case .literal(let value): value
        case .variable(.action): .entity(environment.action)
        default: nil
        }
    }

    private mutating func order(
        _ left: Expression, _ right: Expression, _ expression: Expression, _ known: Set<Capability>
    ) -> Answer {
        check(left, known).then { typedLeft, _ in
            check(right, known).then { typedRight, _ in
                let children = [typedLeft, typedRight]
                guard let leftType = typedLeft.type, let rightType = typedRight.type else {
                    return failure(expression, .bool, children)
                }
                if leftType.hasOrder, leftType == rightType { return success(expression, .bool, children) }
                for (operand, type, other) in [(left, leftType, rightType), (right, rightType, leftType)]
                where !(type.hasOrder && (!other.hasOrder || operand == left)) {
                    let expected = other.hasOrder ? [other] : [.long, .ext(.datetime), .ext(.duration)]
                    report(.unexpectedType(expected: expected, found: type), at: operand)
                }
                return failure(expression, .bool, children)
            }
        }
    }
}

extension StaticType {
    fileprivate var hasOrder: Bool {
        switch self {
        case .long: true
        case .ext(let type): type.hasOrder
        default: false
        }
    }
}

// MARK: - Hierarchies

extension Typechecker {
    private mutating func membership(
        _ member: Expression, _ group: Expression, _ expression: Expression, _ known: Set<Capability>
    ) -> Answer {
        let first = expect([.anyEntity], member, known)
        let second = expect([.set(.anyEntity), .anyEntity], group, known)
        let isSound = first.isSound && second.isSound
        return first.then { typedMember, _ in
            second.then { typedGroup, _ in
                let children = [typedMember, typedGroup]
                guard isSound else { return failure(expression, .bool, children) }
                if case .entity(let action)? = constant(member), action.type.isAction, let groups = constants(group) {
                    return actionMembership(action, groups, expression, children)
                }
                if let members = Self.entityTypes(typedMember.type), let groups = Self.entityTypes(typedGroup.type),
                    !mayBelong(members, to: groups)
                {
                    return success(expression, .always(false), children)
                }
                return success(expression, .bool, children)
            }
        }
    }

    /// The entities that an expression names, or a set of such.
    private func constants(_ expression: Expression) -> [EntityUID]? {
        if case .entity(let entity)? = constant(expression) { return [entity] }
        guard case .set(let members) = expression.kind else { return nil }
        var entities: [EntityUID] = []
        for member in members {
            guard case .entity(let entity)? = constant(member) else { return nil }
            entities.append(entity)
        }
        return entities
    }

    /// The schema tells the hierarchy of actions whole, so that this is known.
    private func actionMembership(
        _ action: EntityUID, _ groups: [EntityUID], _ expression: Expression, _ children: [TypedExpression]
    ) -> Answer {
        let groups = groups.filter(\.type.isAction)
        guard !groups.isEmpty else { return success(expression, .always(false), children) }
        guard let members = schema.actions(within: groups) else { return failure(expression, .bool, children) }
        return success(expression, .always(members.contains(action)), children)
    }

    /// The types of an entity, or of the members of a set.
    private static func entityTypes(_ type: StaticType?) -> Set<EntityType>? {
        switch type {
        case .entity(let types)?, .set(.entity(let types)?)?: types
        default: nil
        }
    }

    private func mayBelong(_ members: Set<EntityType>, to groups: Set<EntityType>) -> Bool {
        groups.contains { group in
            let types = schema.types(within: group)
            return members.contains { member in
                types.contains(member)
                    || schema.sortedActions.contains { action in
                        action.uid.type == group && action.descendants.contains { $0.type == member }
                    }
            }
        }
    }
}
