/// What operators do with values, apart from where the values come from.
enum Operations {
    static func binary(
        _ operation: Expression.BinaryOperator, _ left: Value, _ right: Value, in entities: Entities
    ) throws(EvaluationError) -> Value {
        switch operation {
        case .equal: .bool(left == right)
        case .notEqual: .bool(left != right)
        case .less: .bool(try isLess(left, right))
        case .greaterOrEqual: .bool(try !isLess(left, right))
        case .greater: .bool(try isLess(right, left, reversed: true))
        case .lessOrEqual: .bool(try !isLess(right, left, reversed: true))
        case .in: .bool(try contains(left, in: right, entities))
        case .plus, .minus, .times: .long(try arithmetic(operation, try left.long, try right.long))
        case .contains: .bool(try left.members.contains(right))
        case .containsAll: .bool(try left.members.isSuperset(of: try right.members))
        case .containsAny: .bool(try !left.members.isDisjoint(with: try right.members))
        case .hasTag: .bool(hasTag(try right.text, of: try left.entity, in: entities))
        case .getTag: try tag(try right.text, of: try left.entity, in: entities)
        }
    }

    static func negate(_ number: Int64) throws(EvaluationError) -> Value {
        guard number != .min else { throw EvaluationError(.overflow("-(\(number))")) }
        return .long(-number)
    }

    static func attribute(_ name: Text, of value: Value, in entities: Entities) throws(EvaluationError) -> Value {
        switch value {
        case .record(let fields):
            guard let field = fields[name] else { throw EvaluationError(.noSuchField(name)) }
            return field
        case .entity(let uid):
            guard let entity = entities[uid] else { throw EvaluationError(.noSuchEntity(uid)) }
            guard let attribute = entity.attributes[name] else {
                throw EvaluationError(.noSuchAttribute(name, of: uid))
            }
            return attribute
        default: throw value.wrongType(.record, .entity)
        }
    }

    /// Nil where there is no such attribute; an entity that does not exist has none.
    static func attributeIfPresent(
        _ name: Text, of value: Value, in entities: Entities
    ) throws(EvaluationError) -> Value? {
        switch value {
        case .record(let fields): fields[name]
        case .entity(let uid): entities[uid]?.attributes[name]
        default: throw value.wrongType(.record, .entity)
        }
    }

    static func contains(_ member: Value, in group: Value, _ entities: Entities) throws(EvaluationError) -> Bool {
        let member = try member.entity
        switch group {
        case .entity(let group): return entities.contains(member, in: group)
        case .set(let groups):
            // Every one must be an entity, also behind the one that contains it.
            var found = false
            for group in groups where entities.contains(member, in: try group.entity) { found = true }
            return found
        default: throw group.wrongType(.entity, .set)
        }
    }

    /// Numbers, moments and spans have an order, each among its own.
    ///
    /// - Parameter reversed: `right` stands first in the text, so it is the one to name in an error.
    private static func isLess(
        _ left: Value, _ right: Value, reversed: Bool = false
    ) throws(EvaluationError) -> Bool {
        switch (left, right) {
        case (.long(let left), .long(let right)): return left < right
        case (.datetime(let left), .datetime(let right)): return left < right
        case (.duration(let left), .duration(let right)): return left < right
        default:
            let (first, second) = reversed ? (right, left) : (left, right)
            switch first {
            case .long, .datetime, .duration: throw second.wrongType(first.kind)
            default: throw first.wrongType(.long, .datetime, .duration)
            }
        }
    }

    private static func arithmetic(
        _ operation: Expression.BinaryOperator, _ left: Int64, _ right: Int64
    ) throws(EvaluationError) -> Int64 {
        let (result, overflow) =
            switch operation {
            case .plus: left.addingReportingOverflow(right)
            case .minus: left.subtractingReportingOverflow(right)
            default: left.multipliedReportingOverflow(by: right)
            }
        guard !overflow else { throw EvaluationError(.overflow("\(left) \(operation.rawValue) \(right)")) }
        return result
    }

    /// The name is asked for first: it must be a string also where there is no entity.
    private static func hasTag(_ name: Text, of uid: EntityUID, in entities: Entities) -> Bool {
        entities[uid]?.tags[name] != nil
    }

    private static func tag(_ name: Text, of uid: EntityUID, in entities: Entities) throws(EvaluationError) -> Value {
        guard let entity = entities[uid] else { throw EvaluationError(.noSuchEntity(uid)) }
        guard let tag = entity.tags[name] else { throw EvaluationError(.noSuchTag(name, of: uid)) }
        return tag
    }
}
