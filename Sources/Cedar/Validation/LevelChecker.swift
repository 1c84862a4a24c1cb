/// Finds how far from the request's own entities a condition looks. Cedar docs, _Level validation_, and RFC 76.
struct LevelChecker {
    let maximum: Int
    let action: EntityUID
    let policy: String
    private(set) var errors: [ValidationError] = []

    init(maximum: Int, action: EntityUID, policy: String) {
        (self.maximum, self.action, self.policy) = (maximum, action, policy)
    }

    mutating func check(_ typed: TypedExpression) {
        let children = typed.children
        switch typed.expression.kind {
        case .binary(.hasTag, _, _), .binary(.getTag, _, _), .binary(.in, _, _):
            guard children.count == 2 else { return }
            checkDereference(of: children[0], by: typed)
            check(children[1])
        case .attribute, .has:
            guard let operand = children.first else { return }
            if case .entity? = operand.type { checkDereference(of: operand, by: typed) } else { check(operand) }
        default: for child in children { check(child) }
        }
    }

    private mutating func checkDereference(of operand: TypedExpression, by typed: TypedExpression) {
        let level = level(of: operand, [])
        guard level >= maximum else { return }
        report(.levelExceeded(maximum: maximum, found: level + 1), at: typed)
    }

    /// How many entities stand between the request and this one.
    ///
    /// - Parameter path: the attributes that are taken of it, the first of them last, where it is a record.
    private mutating func level(of typed: TypedExpression, _ path: [Text]) -> Int {
        let children = typed.children
        switch typed.expression.kind {
        case .variable: return 0
        case .literal(.entity(let entity)):
            if entity != action { report(.literalDereference, at: typed) }
            return 0
        case .conditional where children.count == 3:
            check(children[0])
            return max(level(of: children[1], path), level(of: children[2], path))
        case .attribute(_, let name) where children.count == 1:
            if case .entity? = children[0].type { return level(of: children[0], path) + 1 }
            return level(of: children[0], path + [name])
        case .binary(.getTag, _, _) where children.count == 2:
            let level = level(of: children[0], path)
            check(children[1])
            return level + 1
        case .record(let fields):
            var level = 0
            for (field, child) in zip(fields, children) {
                if field.key == path.last { level = self.level(of: child, path.dropLast()) } else { check(child) }
            }
            return level
        default:
            for child in children { check(child) }
            return 0
        }
    }

    private mutating func report(_ kind: ValidationError.Kind, at typed: TypedExpression) {
        errors.append(ValidationError(policy: policy, kind, at: typed.expression.range))
    }
}
