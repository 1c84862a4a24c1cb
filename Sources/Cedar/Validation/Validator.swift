/// Checks policies against a schema, so that those which pass cannot fail by a wrong type or a missing attribute on any
/// request and entities that the schema allows.
///
/// Cedar docs, _Policy validation_ and _Level validation_.
public struct Validator: Sendable {
    public let schema: Schema
    public let mode: ValidationMode

    public init(schema: Schema, mode: ValidationMode = .strict) { (self.schema, self.mode) = (schema, mode) }

    /// - Parameter level: how far from the request's own entities policies may look; nil is no bound.
    public func validate(_ policies: PolicySet, level: Int? = nil) -> ValidationResult {
        var result = ValidationResult()
        for policy in policies.policies {
            if policy.link == nil {
                validate(ValidatedPolicy(policy), level: level, &result)
            } else {
                validate(link: policy, &result)
            }
        }
        for template in policies.templates { validate(ValidatedPolicy(template), level: level, &result) }
        return result
    }

    private func validate(_ policy: ValidatedPolicy, level: Int?, _ result: inout ValidationResult) {
        var errors = unknownNames(in: policy)
        errors += actionApplication(of: policy)
        var isPossible = false
        let condition = policy.condition
        var typed: [(RequestEnvironment, TypedExpression)] = []
        for environment in environments {
            var checker = Typechecker(schema: schema, mode: mode, environment: environment, policy: policy.id)
            let answer = checker.expect([.bool], condition, [])
            if answer.type != .always(false) { isPossible = true }
            errors += checker.errors
            if level != nil { typed.append((environment, answer.typed)) }
        }
        if let level, errors.isEmpty {
            for (environment, condition) in typed {
                var checker = LevelChecker(maximum: level, action: environment.action, policy: policy.id)
                checker.check(condition)
                errors += checker.errors
            }
        }
        result.add(errors)
        if !isPossible {
            result.warnings.append(ValidationWarning(policy: policy.id, kind: .impossiblePolicy, range: policy.range))
        }
        result.warnings += StringCheck.warnings(for: policy)
    }

    /// What a link adds to its template, which is checked by itself.
    private func validate(link policy: Policy, _ result: inout ValidationResult) {
        let values = policy.link?.values.values.map(\.type) ?? []
        let errors = Set(values).sorted().filter { !schema.knows($0) }.map {
            ValidationError(policy: policy.id, .unrecognizedEntityType($0), at: policy.range)
        }
        result.add(errors + actionApplication(of: ValidatedPolicy(policy)))
    }

    /// Every kind of request that the schema allows.
    var environments: [RequestEnvironment] {
        schema.sortedActions.flatMap { action in
            action.principals.flatMap { principal in
                action.resources.map { resource in
                    RequestEnvironment(
                        principal: principal, action: action.uid, resource: resource, context: action.context)
                }
            }
        }
    }
}

/// What a validator found.
public struct ValidationResult: Equatable, Sendable {
    /// Each once, in the order of the policies.
    public internal(set) var errors: [ValidationError] = []
    public internal(set) var warnings: [ValidationWarning] = []

    public var isValid: Bool { errors.isEmpty }

    fileprivate mutating func add(_ new: [ValidationError]) {
        var seen: Set<ValidationError> = []
        errors += new.filter { seen.insert($0).inserted }
    }
}

/// A policy or a template, as a validator sees them.
struct ValidatedPolicy {
    let id: String
    let principal: SlotConstraint
    let action: ActionConstraint
    let resource: SlotConstraint
    let conditions: [Condition]
    let range: SourceRange

    init(_ policy: Policy) {
        (id, conditions, range) = (policy.id, policy.conditions, policy.range)
        (principal, action) = (.fixed(policy.scope.principal), policy.scope.action)
        resource = .fixed(policy.scope.resource)
    }

    init(_ template: Template) {
        (id, conditions, range) = (template.id, template.conditions, template.range)
        (principal, action, resource) = (template.principal, template.action, template.resource)
    }

    /// The whole policy as one expression, scope and all.
    var condition: Expression {
        let scope = [principal.expression(of: .principal, range), action.expression(range)]
        return joined((scope + [resource.expression(of: .resource, range)]).compactMap { $0 } + clauses)
    }

    /// The conditions without the scope.
    var conditionAlone: Expression { joined(clauses) }

    private var clauses: [Expression] {
        conditions.map { $0.kind == .when ? $0.body : Expression(.not($0.body), range: $0.body.range) }
    }

    private func joined(_ parts: [Expression]) -> Expression {
        guard let first = parts.first else { return Expression(.literal(.bool(true)), range: range) }
        return parts.dropFirst().reduce(first) { Expression(.and($0, $1), range: range) }
    }
}

extension SlotConstraint {
    /// What the constraint asks for; nil if nothing. A slot is as its variable: it has whatever type fits.
    fileprivate func expression(of variable: Expression.Variable, _ range: SourceRange) -> Expression? {
        func node(_ kind: Expression.Kind) -> Expression { Expression(kind, range: range) }
        let subject = node(.variable(variable))
        return switch self {
        case .fixed(.any): nil
        case .fixed(.equal(let entity)): node(.binary(.equal, subject, node(.literal(.entity(entity)))))
        case .fixed(.within(let entity)): node(.binary(.in, subject, node(.literal(.entity(entity)))))
        case .fixed(.isType(let type)): node(.isType(subject, type, in: nil))
        case .fixed(.isTypeWithin(let type, let entity)):
            node(.isType(subject, type, in: node(.literal(.entity(entity)))))
        case .equal: node(.binary(.equal, subject, subject))
        case .within: node(.binary(.in, subject, subject))
        case .isTypeWithin(let type): node(.isType(subject, type, in: subject))
        }
    }
}

extension ActionConstraint {
    fileprivate func expression(_ range: SourceRange) -> Expression? {
        func node(_ kind: Expression.Kind) -> Expression { Expression(kind, range: range) }
        let action = node(.variable(.action))
        return switch self {
        case .any: nil
        case .equal(let entity): node(.binary(.equal, action, node(.literal(.entity(entity)))))
        case .within(let groups):
            node(.binary(.in, action, node(.set(groups.map { node(.literal(.entity($0))) }))))
        }
    }
}
