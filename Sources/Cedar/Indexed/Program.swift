/// The conditions of one policy, made ready: a tree in an array, in which operands stand before what uses them.
final class Program: Sendable {
    let clauses: [Clause]
    let nodes: [Node]
    let constants: [Operand]
    let names: [AttributeName]
    let groups: [[Handle]]
    let types: [EntityType]
    let patterns: [Pattern]
    /// What is left to the `Evaluator`.
    let expressions: [Expression]

    /// One `when` or `unless`.
    struct Clause: Sendable {
        let root: NodeIndex
        let kind: Condition.Kind
    }

    typealias NodeIndex = UInt32

    /// One operation. The letters are the indices of nodes, but where something else is said.
    enum Node: Sendable {
        case constant(UInt32)
        case principal, action, resource
        case not(NodeIndex)
        case negate(NodeIndex)
        case and(NodeIndex, NodeIndex)
        case or(NodeIndex, NodeIndex)
        case conditional(NodeIndex, NodeIndex, NodeIndex)
        case equal(NodeIndex, NodeIndex)
        case notEqual(NodeIndex, NodeIndex)
        case less(NodeIndex, NodeIndex)
        case lessOrEqual(NodeIndex, NodeIndex)
        case arithmetic(Expression.BinaryOperator, NodeIndex, NodeIndex)
        case within(NodeIndex, NodeIndex)
        case withinAny(NodeIndex, groups: UInt32)
        case contains(NodeIndex, NodeIndex)
        /// What is left of the operators, by the `Operations`.
        case binary(Expression.BinaryOperator, NodeIndex, NodeIndex)
        case attribute(NodeIndex, name: UInt32)
        case contextAttribute(name: UInt32)
        case has(NodeIndex, name: UInt32, count: UInt32)
        case contextHas(name: UInt32, count: UInt32)
        case like(NodeIndex, pattern: UInt32)
        case isType(NodeIndex, type: UInt32)
        case isTypeWithin(NodeIndex, type: UInt32, NodeIndex)
        case isEmpty(NodeIndex)
        case call(ExtensionFunction, NodeIndex)
        case callWith(ExtensionFunction, NodeIndex, NodeIndex)
        case evaluate(expression: UInt32)
    }

    init(_ conditions: [Condition], _ compiler: consuming Compiler) {
        clauses = conditions.map { Clause(root: compiler.compile($0.body), kind: $0.kind) }
        nodes = compiler.nodes
        constants = compiler.constants
        names = compiler.names
        groups = compiler.groups
        types = compiler.types
        patterns = compiler.patterns
        expressions = compiler.expressions
    }
}

/// Turns expressions into the nodes of a program.
struct Compiler {
    fileprivate(set) var nodes: [Program.Node] = []
    fileprivate(set) var constants: [Operand] = []
    fileprivate(set) var names: [AttributeName] = []
    fileprivate(set) var groups: [[Handle]] = []
    fileprivate(set) var types: [EntityType] = []
    fileprivate(set) var patterns: [Pattern] = []
    fileprivate(set) var expressions: [Expression] = []
    /// They know every name that the expressions mention.
    private let entities: Entities

    init(entities: Entities) { self.entities = entities }

    mutating func compile(_ expression: Expression) -> Program.NodeIndex {
        let node = node(expression)
        nodes.append(node)
        return UInt32(nodes.count - 1)
    }

    private mutating func node(_ expression: Expression) -> Program.Node {
        if let constant = expression.constant { return .constant(add(entities.operand(constant), to: \.constants)) }
        switch expression.kind {
        case .variable(.principal): return .principal
        case .variable(.action): return .action
        case .variable(.resource): return .resource
        case .not(let operand): return .not(compile(operand))
        case .negate(let operand): return .negate(compile(operand))
        case .and(let left, let right): return .and(compile(left), compile(right))
        case .or(let left, let right): return .or(compile(left), compile(right))
        case .conditional(let test, let yes, let no): return .conditional(compile(test), compile(yes), compile(no))
        case .binary(let operation, let left, let right): return binary(operation, left, right)
        case .attribute(let operand, let name): return attribute(name, of: operand)
        case .has(let operand, let path): return has(path, operand)
        case .like(let operand, let pattern): return .like(compile(operand), pattern: add(pattern, to: \.patterns))
        case .isType(let operand, let type, in: nil): return .isType(compile(operand), type: add(type, to: \.types))
        case .isType(let operand, let type, in: let group?):
            return .isTypeWithin(compile(operand), type: add(type, to: \.types), compile(group))
        case .isEmpty(let operand): return .isEmpty(compile(operand))
        case .call(let function, let arguments) where arguments.count == function.argumentCount:
            let first = compile(arguments[0])
            return arguments.count == 1 ? .call(function, first) : .callWith(function, first, compile(arguments[1]))
        case .variable(.context), .literal, .set, .record, .call:
            return .evaluate(expression: add(expression, to: \.expressions))
        }
    }

    private mutating func binary(
        _ operation: Expression.BinaryOperator, _ left: Expression, _ right: Expression
    ) -> Program.Node {
        let first = compile(left)
        if operation == .in, let groups = constantGroups(right) {
            return .withinAny(first, groups: add(groups, to: \.groups))
        }
        let second = compile(right)
        switch operation {
        case .equal: return .equal(first, second)
        case .notEqual: return .notEqual(first, second)
        case .less: return .less(first, second)
        case .lessOrEqual: return .lessOrEqual(first, second)
        // The operands have their values in the order of the text, and those alone are what may fail.
        case .greater: return .less(second, first)
        case .greaterOrEqual: return .lessOrEqual(second, first)
        case .plus, .minus, .times: return .arithmetic(operation, first, second)
        case .in: return .within(first, second)
        case .contains: return .contains(first, second)
        case .containsAll, .containsAny, .hasTag, .getTag: return .binary(operation, first, second)
        }
    }

    private mutating func attribute(_ name: Text, of operand: Expression) -> Program.Node {
        if case .variable(.context) = operand.kind {
            return .contextAttribute(name: add(AttributeName(name), to: \.names))
        }
        return .attribute(compile(operand), name: add(AttributeName(name), to: \.names))
    }

    private mutating func has(_ path: [Text], _ operand: Expression) -> Program.Node {
        let first = UInt32(names.count)
        let isContext = if case .variable(.context) = operand.kind { true } else { false }
        names += path.map(AttributeName.init)
        let count = UInt32(path.count)
        return isContext
            ? .contextHas(name: first, count: count) : .has(compile(operand), name: first, count: count)
    }

    /// The groups of a set that is the same for every request and holds nothing but entities.
    private func constantGroups(_ expression: Expression) -> [Handle]? {
        guard case .set(let members)? = expression.constant else { return nil }
        var groups: [Handle] = []
        for member in members {
            guard case .entity(let uid) = member, let group = entities.find(uid) else { return nil }
            groups.append(group)
        }
        return groups
    }

    private mutating func add<Element>(
        _ element: Element, to list: WritableKeyPath<Compiler, [Element]>
    ) -> UInt32 {
        self[keyPath: list].append(element)
        return UInt32(self[keyPath: list].count - 1)
    }
}
