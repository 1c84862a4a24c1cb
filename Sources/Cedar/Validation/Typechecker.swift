/// The types of one kind of request: an action, and a principal and a resource that it applies to.
struct RequestEnvironment: Hashable {
    let principal: EntityType
    let action: EntityUID
    let resource: EntityType
    let context: RecordType
    /// What stands in the slots of a template; nil where it has none.
    var principalSlot: EntityType?
    var resourceSlot: EntityType?
}

/// What an expression may rely on, because it is evaluated only where that was found true.
struct Capability: Hashable {
    enum Kind: Hashable {
        case attribute(Text)
        case tag(Expression)
    }

    let of: Expression
    let kind: Kind
}

/// An expression with the types of its parts, without the branches that are never taken.
final class TypedExpression: Sendable {
    let expression: Expression
    let type: StaticType?
    /// One for each child of the expression.
    let children: [TypedExpression]

    init(_ expression: Expression, _ type: StaticType?, _ children: [TypedExpression] = []) {
        (self.expression, self.type, self.children) = (expression, type, children)
    }
}

/// Finds the types of one condition in one environment, and what is wrong with it.
///
/// Cedar docs, _Policy validation_. An expression with a mistake has a type still, where that is plain, so that more
/// mistakes can be found around it.
struct Typechecker {
    struct Answer {
        var typed: TypedExpression
        /// What holds wherever the expression is true.
        var learnt: Set<Capability> = []
        var isSound = true

        var type: StaticType? { typed.type }

        /// Goes on with what was found; the result is as unsound as this.
        func then(_ next: (TypedExpression, Set<Capability>) -> Answer) -> Answer {
            var answer = next(typed, isSound ? learnt : [])
            if !isSound { (answer.isSound, answer.learnt) = (false, []) }
            return answer
        }
    }

    let schema: Schema
    let mode: ValidationMode
    let environment: RequestEnvironment
    let policy: String
    var errors: [ValidationError] = []

    init(schema: Schema, mode: ValidationMode, environment: RequestEnvironment, policy: String) {
        (self.schema, self.mode, self.environment, self.policy) = (schema, mode, environment, policy)
    }

    mutating func report(_ kind: ValidationError.Kind, at expression: Expression) {
        errors.append(ValidationError(policy: policy, kind, at: expression.range))
    }

    /// A sound expression of this type.
    func success(
        _ expression: Expression, _ type: StaticType?, _ children: [TypedExpression] = [],
        learnt: Set<Capability> = []
    ) -> Answer {
        Answer(typed: TypedExpression(expression, type, children), learnt: learnt)
    }

    /// An unsound one, of this type if it is known.
    func failure(_ expression: Expression, _ type: StaticType?, _ children: [TypedExpression] = []) -> Answer {
        Answer(typed: TypedExpression(expression, type, children), isSound: false)
    }

    mutating func check(_ expression: Expression, _ known: Set<Capability>) -> Answer {
        switch expression.kind {
        case .literal(let value): return literal(value, expression)
        case .variable(let variable): return success(expression, type(of: variable))
        case .not(let operand): return not(operand, expression, known)
        case .negate(let operand):
            return expect([.long], operand, known).then { operand, _ in success(expression, .long, [operand]) }
        case .isEmpty(let operand):
            return expect([.set(nil)], operand, known).then { operand, _ in success(expression, .bool, [operand]) }
        case .and(let left, let right): return and(left, right, expression, known)
        case .or(let left, let right): return or(left, right, expression, known)
        case .conditional(let test, let yes, let no): return conditional(test, yes, no, expression, known)
        case .binary(let operation, let left, let right): return binary(operation, left, right, expression, known)
        case .attribute(let operand, let name): return attribute(name, operand, expression, known)
        case .has(let operand, let names): return has(names[...], operand, expression, known)
        case .like(let operand, _):
            return expect([.string], operand, known).then { operand, _ in success(expression, .bool, [operand]) }
        case .isType(let operand, let type, nil): return isType(operand, type, expression, known)
        case .isType(let operand, let type, let group?):
            let test = Expression(.isType(operand, type, in: nil), range: expression.range)
            let membership = Expression(.binary(.in, operand, group), range: expression.range)
            return and(test, membership, expression, known)
        case .set(let members): return set(members, expression, known)
        case .record(let fields): return record(fields, expression, known)
        case .call(let function, let arguments): return call(function, arguments, expression, known)
        }
    }

    /// Checks that an expression is of one of these types; where it is not, its type is not known to what stands around.
    mutating func expect(_ types: [StaticType], _ expression: Expression, _ known: Set<Capability>) -> Answer {
        let answer = check(expression, known)
        guard let found = answer.type else {
            return failure(expression, nil, answer.typed.children)
        }
        guard types.contains(where: { found.isSubtype(of: $0, .permissive) }) else {
            report(.unexpectedType(expected: types, found: found), at: expression)
            return failure(expression, nil, answer.typed.children)
        }
        return answer
    }

    private func type(of variable: Expression.Variable) -> StaticType {
        switch variable {
        case .principal: .entity(environment.principal)
        case .action: .entity(environment.action.type)
        case .resource: .entity(environment.resource)
        case .context: .record(environment.context)
        }
    }

    private mutating func literal(_ value: Value, _ expression: Expression) -> Answer {
        switch value {
        case .bool(let bool): return success(expression, .always(bool))
        case .long: return success(expression, .long)
        case .string: return success(expression, .string)
        case .entity(let entity):
            // What the schema does not know is reported once for each policy, elsewhere.
            let isKnown =
                entity.type.isAction ? schema.actions[entity] != nil : schema.entityTypes[entity.type] != nil
            return isKnown ? success(expression, .entity(entity.type)) : failure(expression, nil)
        default:
            // The parser makes no such literals.
            return failure(expression, nil)
        }
    }
}

// MARK: - Logic

extension Typechecker {
    private mutating func not(_ operand: Expression, _ expression: Expression, _ known: Set<Capability>) -> Answer {
        expect([.bool], operand, known).then { operand, _ in
            switch operand.type {
            case .always(let bool)?: success(expression, .always(!bool), [operand])
            case .some: success(expression, .bool, [operand])
            case nil: failure(expression, .bool, [operand])
            }
        }
    }

    mutating func and(
        _ left: Expression, _ right: Expression, _ expression: Expression, _ known: Set<Capability>
    ) -> Answer {
        let first = expect([.bool], left, known)
        return first.then { left, learntLeft in
            // What stands behind a false condition is not evaluated, so nothing is said of it.
            if left.type == .always(false) { return success(left.expression, .always(false), left.children) }
            return expect([.bool], right, known.union(learntLeft)).then { right, learntRight in
                let children = [left, right]
                let both = learntLeft.union(learntRight)
                switch (left.type, right.type) {
                case (.some, .always(false)?): return success(expression, .always(false), children)
                case (let type?, .always(true)?): return success(expression, type, children, learnt: both)
                case (.always(true)?, let type?): return success(expression, type, children, learnt: both)
                case (.some, .some): return success(expression, .bool, children, learnt: both)
                default: return failure(expression, .bool, children)
                }
            }
        }
    }

    private mutating func or(
        _ left: Expression, _ right: Expression, _ expression: Expression, _ known: Set<Capability>
    ) -> Answer {
        expect([.bool], left, known).then { left, learntLeft in
            if left.type == .always(true) {
                return success(left.expression, .always(true), left.children, learnt: learntLeft)
            }
            return expect([.bool], right, known).then { right, learntRight in
                let children = [left, right]
                switch (left.type, right.type) {
                case (.some, .always(true)?): return success(expression, .always(true), children, learnt: learntRight)
                case (let type?, .always(false)?): return success(expression, type, children, learnt: learntLeft)
                case (.always(false)?, let type?): return success(expression, type, children, learnt: learntRight)
                case (.some, .some):
                    return success(expression, .bool, children, learnt: learntLeft.intersection(learntRight))
                default: return failure(expression, .bool, children)
                }
            }
        }
    }

    private mutating func conditional(
        _ test: Expression, _ yes: Expression, _ no: Expression, _ expression: Expression, _ known: Set<Capability>
    ) -> Answer {
        expect([.bool], test, known).then { test, learntTest in
            if test.type == .always(true) {
                return check(yes, known.union(learntTest)).then { yes, learnt in
                    success(expression, yes.type, [test, yes, yes], learnt: learnt.union(learntTest))
                }
            }
            if test.type == .always(false) {
                return check(no, known).then { no, learnt in
                    success(expression, no.type, [test, no, no], learnt: learnt)
                }
            }
            var taken = check(yes, known.union(learntTest))
            taken.learnt.formUnion(learntTest)
            let other = check(no, known)
            return taken.then { yes, learntYes in
                other.then { no, learntNo in
                    let children = [test, yes, no]
                    guard let type = bound(of: [yes.type, no.type], .conditional, at: expression) else {
                        return failure(expression, nil, children)
                    }
                    return success(expression, type, children, learnt: learntYes.intersection(learntNo))
                }
            }
        }
    }

    /// The least type of all of them; nil, and reported, if there is none. Nil without a word if one is not known.
    mutating func bound(
        of types: [StaticType?], _ comparison: ValidationError.Comparison, at expression: Expression
    ) -> StaticType? {
        let known = types.compactMap { $0 }
        guard known.count == types.count else { return nil }
        do throws(NoBound) {
            return try StaticType.bound(of: known, mode)
        } catch {
            report(.incompatibleTypes(known, error, comparison), at: expression)
            return nil
        }
    }
}

// MARK: - Values made of others

extension Typechecker {
    private mutating func set(_ members: [Expression], _ expression: Expression, _ known: Set<Capability>) -> Answer {
        let answers = members.map { check($0, known) }
        let children = answers.map(\.typed)
        let element = bound(of: children.map(\.type), .set, at: expression)
        if members.isEmpty, mode == .strict {
            report(.emptySet, at: expression)
            return failure(expression, nil)
        }
        guard let element else { return failure(expression, nil, children) }
        let type = StaticType.set(element)
        return answers.allSatisfy(\.isSound) ? success(expression, type, children) : failure(expression, type, children)
    }

    private mutating func record(
        _ fields: [Expression.Field], _ expression: Expression, _ known: Set<Capability>
    ) -> Answer {
        let answers = fields.map { check($0.value, known) }
        let children = answers.map(\.typed)
        var attributes: [Text: AttributeType] = [:]
        for (field, child) in zip(fields, children) {
            guard let type = child.type else { return failure(expression, nil, children) }
            attributes[field.key] = AttributeType(type)
        }
        let type = StaticType.record(RecordType(attributes: attributes))
        return answers.allSatisfy(\.isSound) ? success(expression, type, children) : failure(expression, type, children)
    }

    private mutating func call(
        _ function: ExtensionFunction, _ arguments: [Expression], _ expression: Expression, _ known: Set<Capability>
    ) -> Answer {
        let before = errors.count
        if arguments.count != function.argumentCount {
            let count = function.argumentCount
            report(.wrongArgumentCount(function, expected: count, found: arguments.count), at: expression)
        }
        if function.isConstructor {
            if case .literal(let value)? = arguments.first?.kind, case .string = value {
                do throws(EvaluationError) {
                    _ = try function(Array([value].prefix(function.argumentCount)))
                } catch { report(.invalidExtensionLiteral(function, "\(error)"), at: expression) }
            }
            if mode == .strict, !arguments.allSatisfy(\.isLiteral) {
                report(.nonLiteralConstructor(function), at: expression)
            }
        }
        if errors.count > before {
            let children = arguments.map { check($0, known).typed }
            return failure(expression, function.result, children)
        }
        let answers = zip(arguments, function.parameters).map { expect([$1], $0, known) }
        let children = answers.map(\.typed)
        return answers.allSatisfy(\.isSound)
            ? success(expression, function.result, children) : failure(expression, function.result, children)
    }
}

extension Expression {
    fileprivate var isLiteral: Bool { if case .literal = kind { true } else { false } }
}

extension ExtensionFunction {
    /// With the value that a method is called on.
    var parameters: [StaticType] {
        switch self {
        case .decimal, .ip, .datetime, .duration: [.string]
        case .lessThan, .lessThanOrEqual, .greaterThan, .greaterThanOrEqual: [.ext(.decimal), .ext(.decimal)]
        case .isIpv4, .isIpv6, .isLoopback, .isMulticast: [.ext(.ipaddr)]
        case .isInRange: [.ext(.ipaddr), .ext(.ipaddr)]
        case .offset: [.ext(.datetime), .ext(.duration)]
        case .durationSince: [.ext(.datetime), .ext(.datetime)]
        case .toDate, .toTime: [.ext(.datetime)]
        case .toMilliseconds, .toSeconds, .toMinutes, .toHours, .toDays: [.ext(.duration)]
        }
    }

    var result: StaticType {
        switch self {
        case .decimal: .ext(.decimal)
        case .ip: .ext(.ipaddr)
        case .datetime, .offset, .toDate: .ext(.datetime)
        case .duration, .durationSince, .toTime: .ext(.duration)
        case .toMilliseconds, .toSeconds, .toMinutes, .toHours, .toDays: .long
        default: .bool
        }
    }
}
