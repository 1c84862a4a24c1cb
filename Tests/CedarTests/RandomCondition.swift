@testable import Cedar

/// Random conditions over the entities of a `World` that mostly make sense, and sometimes do not.
struct RandomCondition {
    private var random: SeededGenerator
    private let entities: [EntityUID]

    init(seed: UInt64, entities: [EntityUID]) { (random, self.entities) = (SeededGenerator(seed: seed), entities) }

    mutating func policy(_ policy: Policy) -> Policy {
        let conditions = (0..<Int.random(in: 0...2, using: &random)).map { _ in
            Condition(Bool.random(using: &random) ? .when : .unless, bool(3))
        }
        return Policy(
            id: policy.id, effect: policy.effect, scope: policy.scope, conditions: conditions, range: policy.range)
    }

    mutating func entity(_ entity: Entity) -> Entity {
        var attributes: [Text: Value] = [:]
        for name in ["flag", "level", "name", "owner", "readers", "nested"] as [Text] where chance(3, of: 4) {
            attributes[name] = value(name)
        }
        let tags: [Text: Value] =
            chance(1, of: 2) ? ["t": .long(Int64(number(4)))] : ["t": .string("x"), "u": .bool(true)]
        return Entity(entity.uid, in: entity.parents, attributes: attributes, tags: tags)
    }

    mutating func context() -> Context {
        var attributes: [Text: Value] = ["now": .datetime(Value.Datetime(milliseconds: Int64(number(3)) * 3_600_000))]
        for name in ["flag", "level", "name", "owner", "readers", "nested"] as [Text] where chance(2, of: 3) {
            attributes[name] = value(name)
        }
        if let address = try? Value.IPAddress(chance(1, of: 2) ? "10.1.2.3" : "fd00::1") {
            attributes["ip"] = .ip(address)
        }
        return Context(attributes, isPartial: chance(1, of: 5))
    }

    private mutating func value(_ name: Text) -> Value {
        // Now and then of a type that nobody expects.
        if chance(1, of: 20) { return .string("unexpected") }
        return switch name {
        case "flag": .bool(Bool.random(using: &random))
        case "level": .long(chance(1, of: 10) ? .max : Int64(number(4)))
        case "name": .string(text())
        case "owner": .entity(someone())
        case "readers": .set(Set((0..<number(4)).map { _ in .entity(someone()) }))
        default: .record(["level": .long(Int64(number(4))), "owner": .entity(someone())])
        }
    }

    /// Some of these entities nobody has heard of.
    private mutating func someone() -> EntityUID {
        chance(1, of: 8)
            ? EntityUID(type: "Agent", id: "stranger\(number(3))") : entities.randomElement(using: &random)!
    }

    private mutating func bool(_ depth: Int) -> Expression {
        guard depth > 0 else { return attribute("flag", 0) }
        let kind: Expression.Kind =
            switch number(17) {
            case 0: .and(bool(depth - 1), bool(depth - 1))
            case 1: .or(bool(depth - 1), bool(depth - 1))
            case 2: .not(bool(depth - 1))
            case 3: .conditional(if: bool(depth - 1), then: bool(depth - 1), else: bool(depth - 1))
            case 4, 5:
                .binary(pick([.less, .lessOrEqual, .greater, .greaterOrEqual]), long(depth - 1), long(depth - 1))
            case 6: .binary(pick([.equal, .notEqual]), anything(depth - 1), anything(depth - 1))
            case 7: .binary(.in, entity(depth - 1), groups())
            case 8: .binary(pick([.contains, .containsAll, .containsAny]), set(), chance(1, of: 2) ? set() : entity(0))
            case 9: .has(subject(depth - 1), chance(1, of: 2) ? ["nested", "owner", "level"] : [name()])
            case 10: .like(attribute("name", 0), Pattern(pieces: chance(1, of: 2) ? ["a", ""] : ["", "b", ""]))
            case 11: .isType(entity(depth - 1), "Agent", in: chance(1, of: 2) ? groups() : nil)
            case 12: .binary(.hasTag, entity(depth - 1), Expression(.literal(.string(chance(1, of: 2) ? "t" : "u"))))
            case 13: .binary(.equal, Expression(.binary(.getTag, entity(0), literal(.string("t")))), long(0))
            case 14: .call(.isInRange, [attribute(of: .context, "ip"), call(.ip, "10.0.0.0/8")])
            case 15: .isEmpty(set())
            default:
                .binary(
                    pick([.less, .greaterOrEqual]), Expression(.call(.toTime, [attribute(of: .context, "now")])),
                    call(.duration, "1h"))
            }
        return Expression(kind)
    }

    private mutating func long(_ depth: Int) -> Expression {
        guard depth > 0, chance(1, of: 2) else {
            return chance(1, of: 2) ? literal(.long(Int64(number(4)))) : attribute("level", 0)
        }
        if chance(1, of: 6) { return Expression(.negate(long(depth - 1))) }
        return Expression(.binary(pick([.plus, .minus, .times]), long(depth - 1), long(depth - 1)))
    }

    private mutating func entity(_ depth: Int) -> Expression {
        switch number(4) {
        case 0: literal(.entity(someone()))
        case 1 where depth > 0: attribute("owner", depth - 1)
        default: Expression(.variable(pick([.principal, .resource, .action])))
        }
    }

    private mutating func anything(_ depth: Int) -> Expression {
        switch number(6) {
        case 0: long(depth)
        case 1: set()
        case 2: attribute("name", depth)
        case 3: attribute("nested", depth)
        case 4: Expression(.record([Expression.Field("level", long(0)), Expression.Field("owner", entity(0))]))
        default: entity(depth)
        }
    }

    private mutating func set() -> Expression {
        chance(1, of: 2) ? attribute("readers", 0) : Expression(.set((0..<number(3)).map { _ in entity(0) }))
    }

    private mutating func groups() -> Expression {
        switch number(4) {
        case 0: entity(0)
        case 1: attribute("readers", 0)
        case 2: Expression(.set((0..<number(3)).map { _ in literal(.entity(someone())) }))
        default: literal(.entity(someone()))
        }
    }

    private mutating func subject(_ depth: Int) -> Expression {
        chance(1, of: 3) ? Expression(.variable(.context)) : entity(depth)
    }

    private mutating func attribute(_ name: Text, _ depth: Int) -> Expression {
        chance(1, of: 4) ? attribute(of: .context, name) : Expression(.attribute(entity(depth), name))
    }

    private func attribute(of variable: Expression.Variable, _ name: Text) -> Expression {
        Expression(.attribute(Expression(.variable(variable)), name))
    }

    private func literal(_ value: Value) -> Expression { Expression(.literal(value)) }

    private func call(_ function: ExtensionFunction, _ text: Text) -> Expression {
        Expression(.call(function, [literal(.string(text))]))
    }

    private mutating func name() -> Text { pick(["flag", "level", "name", "owner", "readers", "nested", "no"]) }

    private mutating func text() -> Text { pick(["", "a", "ab", "xbx"]) }

    private mutating func pick<Element>(_ all: [Element]) -> Element { all.randomElement(using: &random)! }

    private mutating func number(_ count: Int) -> Int { Int.random(in: 0..<count, using: &random) }

    private mutating func chance(_ hits: Int, of count: Int) -> Bool { number(count) < hits }
}
