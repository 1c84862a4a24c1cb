@testable import Cedar

/// Random expressions of every kind, whether they make sense or not.
struct RandomExpression {
    private var random: SeededGenerator

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    mutating func expression(depth: Int) -> Expression {
        guard depth > 0 else { return leaf() }
        let kind: Expression.Kind =
            switch Int.random(in: 0..<14, using: &random) {
            case 0: .not(expression(depth: depth - 1))
            case 1: .negate(expression(depth: depth - 1))
            case 2: .and(expression(depth: depth - 1), expression(depth: depth - 1))
            case 3: .or(expression(depth: depth - 1), expression(depth: depth - 1))
            case 4, 5: .binary(operation(), expression(depth: depth - 1), expression(depth: depth - 1))
            case 6:
                .conditional(
                    if: expression(depth: depth - 1), then: expression(depth: depth - 1),
                    else: expression(depth: depth - 1))
            case 7: .attribute(expression(depth: depth - 1), name())
            case 8: .has(expression(depth: depth - 1), path())
            case 9: .like(expression(depth: depth - 1), Pattern(pieces: [name(), "*", name()]))
            case 10: .isType(expression(depth: depth - 1), "n::T", in: Bool.random(using: &random) ? leaf() : nil)
            case 11: .isEmpty(expression(depth: depth - 1))
            case 12: collection(depth)
            default: call(depth)
            }
        return Expression(kind)
    }

    private mutating func leaf() -> Expression {
        let variables: [Expression.Variable] = [.principal, .action, .resource, .context]
        return switch Int.random(in: 0..<5, using: &random) {
        case 0: Expression(.literal(.bool(Bool.random(using: &random))))
        case 1: Expression(.literal(.long([0, 1, -1, .min, .max].randomElement(using: &random)!)))
        case 2: Expression(.literal(.string(name())))
        case 3: Expression(.literal(.entity(EntityUID(type: "n::T", id: name().string))))
        default: Expression(.variable(variables.randomElement(using: &random)!))
        }
    }

    private mutating func name() -> Text {
        ["a", "if", "", "a b", "é*\n", "\"\\", "principal", "x1"].randomElement(using: &random)!
    }

    private mutating func path() -> [Text] {
        Bool.random(using: &random) ? [name()] : ["a", "principal", "c"]
    }

    private mutating func operation() -> Expression.BinaryOperator {
        let all: [Expression.BinaryOperator] = [
            .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual, .in, .plus, .minus, .times, .contains,
            .containsAll, .containsAny, .hasTag, .getTag,
        ]
        return all.randomElement(using: &random)!
    }

    private mutating func collection(_ depth: Int) -> Expression.Kind {
        let members = (0..<Int.random(in: 0...3, using: &random)).map { _ in expression(depth: depth - 1) }
        guard Bool.random(using: &random) else { return .set(members) }
        return .record(members.enumerated().map { Expression.Field(["a", "in", "b c"][$0.offset], $0.element) })
    }

    private mutating func call(_ depth: Int) -> Expression.Kind {
        let function = ExtensionFunction.allCases.randomElement(using: &random)!
        let count = Int.random(in: function.isConstructor ? 0...2 : 1...3, using: &random)
        return .call(function, (0..<count).map { _ in expression(depth: depth - 1) })
    }
}
