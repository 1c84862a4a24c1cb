/// A node of the syntax tree of a condition. Two are equal if they say the same, wherever they stand.
public final class Expression: Sendable {
    /// Deeper trees are refused: whatever walks them needs stack for each level.
    public static let maximumDepth = 400

    public enum Kind: Hashable, Sendable {
        case literal(Value)
        case variable(Variable)
        case not(Expression)
        case negate(Expression)
        case and(Expression, Expression)
        case or(Expression, Expression)
        case binary(BinaryOperator, Expression, Expression)
        case conditional(if: Expression, then: Expression, else: Expression)
        case attribute(Expression, Text)
        /// Whether the value has the first attribute, that one the second, and so on; never empty.
        case has(Expression, [Text])
        case like(Expression, Pattern)
        case isType(Expression, EntityType, in: Expression?)
        case isEmpty(Expression)
        case set([Expression])
        case record([Field])
        case call(ExtensionFunction, [Expression])
    }

    public struct Field: Hashable, Sendable {
        public let key: Text
        public let value: Expression

        public init(_ key: Text, _ value: Expression) { (self.key, self.value) = (key, value) }
    }

    public enum Variable: String, Hashable, Sendable { case principal, action, resource, context }

    public enum BinaryOperator: String, Hashable, Sendable {
        case equal = "=="
        case notEqual = "!="
        case less = "<"
        case lessOrEqual = "<="
        case greater = ">"
        case greaterOrEqual = ">="
        case `in`
        case plus = "+"
        case minus = "-"
        case times = "*"
        // Written as methods.
        case contains, containsAll, containsAny, hasTag, getTag
    }

    public let kind: Kind
    /// Where it stands; nil if it was not read from a text.
    public let range: SourceRange?
    /// Levels of the tree below and with this node.
    public let depth: Int
    /// Whether it asks for any part of the context.
    public let usesContext: Bool
    /// The value, where it is the same for every request.
    let constant: Value?

    public init(_ kind: Kind, range: SourceRange? = nil) {
        (self.kind, self.range) = (kind, range)
        var deepest = 0
        var usesContext = if case .variable(.context) = kind { true } else { false }
        kind.forEachChild { child in
            deepest = max(deepest, child.depth)
            usesContext = usesContext || child.usesContext
        }
        (depth, self.usesContext) = (1 + deepest, usesContext)
        constant = kind.constant
    }
}

extension Expression: Hashable {
    public static func == (left: Expression, right: Expression) -> Bool {
        left === right || (left.depth == right.depth && left.kind == right.kind)
    }

    public func hash(into hasher: inout Hasher) { hasher.combine(kind) }
}

extension Expression.Kind {
    /// The expressions directly below, in the order of the text.
    public var children: [Expression] {
        var children: [Expression] = []
        forEachChild { children.append($0) }
        return children
    }

    func forEachChild(_ body: (Expression) -> Void) {
        switch self {
        case .literal, .variable: break
        case .not(let operand), .negate(let operand), .isEmpty(let operand): body(operand)
        case .attribute(let operand, _), .has(let operand, _), .like(let operand, _): body(operand)
        case .and(let left, let right), .or(let left, let right), .binary(_, let left, let right):
            body(left)
            body(right)
        case .conditional(let test, let yes, let no):
            body(test)
            body(yes)
            body(no)
        case .isType(let operand, _, let group):
            body(operand)
            if let group { body(group) }
        case .set(let members): members.forEach(body)
        case .record(let fields): for field in fields { body(field.value) }
        case .call(_, let arguments): arguments.forEach(body)
        }
    }

    /// Literals, and what is built of them alone; a constructor that fails must fail when it is asked, so it is none.
    fileprivate var constant: Value? {
        switch self {
        case .literal(let value): return value
        case .set(let members):
            let values = members.compactMap(\.constant)
            return values.count == members.count ? .set(Set(values)) : nil
        case .record(let fields):
            let values = fields.compactMap { field in field.value.constant.map { (field.key, $0) } }
            return values.count == fields.count ? .record(Dictionary(values) { _, last in last }) : nil
        case .call(let function, let arguments) where function.isConstructor:
            let values = arguments.compactMap(\.constant)
            return values.count == arguments.count ? try? function(values) : nil
        default: return nil
        }
    }
}

extension Expression {
    /// Calls `body` with this expression and all below it, each before what is below it.
    public func visit(_ body: (Expression) -> Void) {
        body(self)
        for child in kind.children { child.visit(body) }
    }
}
