extension Expression: CustomStringConvertible {
    /// The expression in canonical form, which parses to an equal one. Only the brackets that it needs are printed.
    public var description: String { text(at: .expression) }

    /// What may stand in a place without brackets: everything that binds at least as tightly.
    fileprivate enum Level: Int, Comparable {
        case expression, or, and, relation, sum, product, unary, member

        var next: Level { Level(rawValue: rawValue + 1) ?? .member }

        static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }
    }

    private func text(at place: Level) -> String { level < place ? "(\(text))" : text }

    private var level: Level {
        switch kind {
        // A negative number is read as one, but nothing may be asked of it without brackets.
        case .literal(.long(let number)) where number < 0: .unary
        case .literal, .variable, .attribute, .isEmpty, .set, .record, .call: .member
        case .not, .negate: .unary
        case .and: .and
        case .or: .or
        case .binary(let operation, _, _): operation.level
        case .has, .like, .isType: .relation
        case .conditional: .expression
        }
    }

    private var text: String {
        switch kind {
        case .literal(let value): "\(value)"
        case .variable(let variable): variable.rawValue
        case .not(let operand): "!\(operand.text(at: .member))"
        case .negate(let operand): operand.isNumber ? "-(\(operand.text))" : "-\(operand.text(at: .member))"
        case .and(let left, let right): "\(left.text(at: .and)) && \(right.text(at: .relation))"
        case .or(let left, let right): "\(left.text(at: .or)) || \(right.text(at: .and))"
        case .binary(let operation, let left, let right): binary(operation, left, right)
        case .conditional(let test, let yes, let no): "if \(test) then \(yes) else \(no)"
        case .attribute(let operand, let name): operand.text(at: .member) + Self.access(name)
        case .has(let operand, let names): "\(operand.text(at: .sum)) has \(Self.path(names))"
        case .like(let operand, let pattern): "\(operand.text(at: .sum)) like \(pattern)"
        case .isType(let operand, let type, let group):
            "\(operand.text(at: .sum)) is \(type)" + (group.map { " in \($0.text(at: .sum))" } ?? "")
        case .isEmpty(let operand): "\(operand.text(at: .member)).isEmpty()"
        case .set(let members): "[\(Self.list(members))]"
        case .record(let fields):
            "{\(fields.map { "\(RecordKey.printed($0.key)): \($0.value)" }.joined(separator: ", "))}"
        case .call(let function, let arguments): call(function, arguments)
        }
    }

    private func binary(_ operation: BinaryOperator, _ left: Expression, _ right: Expression) -> String {
        let level = operation.level
        if level == .member { return "\(left.text(at: .member)).\(operation.rawValue)(\(right))" }
        // Relations do not chain; sums and products group to the left.
        let first = level == .relation ? level.next : level
        return "\(left.text(at: first)) \(operation.rawValue) \(right.text(at: level.next))"
    }

    private func call(_ function: ExtensionFunction, _ arguments: [Expression]) -> String {
        guard !function.isConstructor, let receiver = arguments.first else {
            return "\(function.rawValue)(\(Self.list(arguments)))"
        }
        return "\(receiver.text(at: .member)).\(function.rawValue)(\(Self.list(Array(arguments.dropFirst()))))"
    }

    private static func list(_ expressions: [Expression]) -> String {
        expressions.map(\.description).joined(separator: ", ")
    }

    private static func access(_ name: Text) -> String {
        RecordKey.isPlain(name) ? ".\(name)" : "[\(StringLiteral.quoted(name.string))]"
    }

    /// Only one name can be in quotes, so a longer path of such is not of any text, and `RecordKey` shows it anyhow.
    private static func path(_ names: [Text]) -> String { names.map(RecordKey.printed).joined(separator: ".") }

    private var isNumber: Bool { if case .literal(.long) = kind { true } else { false } }
}

extension Expression.BinaryOperator {
    fileprivate var level: Expression.Level {
        switch self {
        case .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual, .in: .relation
        case .plus, .minus: .sum
        case .times: .product
        case .contains, .containsAll, .containsAny, .hasTag, .getTag: .member
        }
    }
}
