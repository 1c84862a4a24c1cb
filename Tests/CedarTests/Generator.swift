@testable import Cedar

/// Repeatable random numbers (SplitMix64), so that a failure can be run again from its seed.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// A small random world, crowded enough that policies, groups and requests often meet.
struct World {
    var random: SeededGenerator
    let agents = (0..<12).map { EntityUID(type: "Agent", id: "a\($0)") }
    let groups = (0..<8).map { EntityUID(type: "Group", id: "g\($0)") }
    let actions = (0..<6).map { EntityUID(type: "Action", id: "x\($0)") }

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    mutating func entities() throws(EntitiesError) -> Entities { try Entities(list()) }

    /// Each entity belongs only to later ones, so there is no cycle.
    mutating func list() -> [Entity] {
        var all: [Entity] = []
        for line in [agents + groups, actions] {
            for (place, uid) in line.enumerated() {
                let later = line[(place + 1)...]
                let parents = (0..<Int.random(in: 0...2, using: &random)).compactMap { _ in
                    later.randomElement(using: &random)
                }
                all.append(Entity(uid, in: parents))
            }
        }
        return all.shuffled(using: &random)
    }

    mutating func policy(_ number: Int) -> Policy {
        let origin = SourcePosition(line: 1, column: 1, offset: 0)
        return Policy(
            id: "p\(number)", annotations: [], effect: Int.random(in: 0..<4, using: &random) == 0 ? .forbid : .permit,
            scope: Scope(principal: constraint(), action: actionConstraint(), resource: constraint()),
            range: SourceRange(start: origin, end: origin))
    }

    mutating func request(_ context: Context = Context()) -> Request {
        Request(principal: entity(), action: action(), resource: entity(), context: context)
    }

    private mutating func entity() -> EntityUID { (agents + groups).randomElement(using: &random)! }

    private mutating func action() -> EntityUID { actions.randomElement(using: &random)! }

    private mutating func constraint() -> EntityConstraint {
        let type: EntityType = Bool.random(using: &random) ? "Agent" : "Group"
        return switch Int.random(in: 0..<5, using: &random) {
        case 0: .any
        case 1: .equal(entity())
        case 2: .within(entity())
        case 3: .isType(type)
        default: .isTypeWithin(type, entity())
        }
    }

    private mutating func actionConstraint() -> ActionConstraint {
        switch Int.random(in: 0..<3, using: &random) {
        case 0: .any
        case 1: .equal(action())
        default: .within((0..<Int.random(in: 0...3, using: &random)).map { _ in action() })
        }
    }
}
