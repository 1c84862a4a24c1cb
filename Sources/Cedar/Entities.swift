/// An entity, what it directly belongs to, and what is known of it.
public struct Entity: Hashable, Sendable {
    public let uid: EntityUID
    public let parents: [EntityUID]
    public let attributes: [Text: Value]
    /// Told by names that a policy may compute, unlike attributes.
    public let tags: [Text: Value]

    public init(
        _ uid: EntityUID, in parents: [EntityUID] = [], attributes: [Text: Value] = [:], tags: [Text: Value] = [:]
    ) {
        self.uid = uid
        self.parents = parents
        self.attributes = attributes
        self.tags = tags
    }
}

/// The entities that requests are decided over, with everything each of them belongs to worked out beforehand.
public struct Entities: Sendable {
    public static let maximumEntities = 200_000
    /// Over all entities; the hierarchies of meshes are flat, and a chain would fill memory by its square.
    public static let maximumAncestors = 4_000_000

    private let entities: [EntityUID: Entity]
    private let ancestors: [EntityUID: Set<EntityUID>]
    private static let none: Set<EntityUID> = []

    /// A parent need not be an entity itself; then it has no parents.
    public init(_ entities: [Entity]) throws(EntitiesError) {
        guard entities.count <= Self.maximumEntities else { throw .tooManyEntities }
        var known: [EntityUID: Entity] = [:]
        for entity in entities where known.updateValue(entity, forKey: entity.uid) != nil {
            throw .duplicate(entity.uid)
        }
        self.entities = known
        let order = try Self.parentsFirst(entities, known)
        guard Self.leastAncestors(order, known) <= Self.maximumAncestors else { throw .hierarchyTooLarge }
        var closure: [EntityUID: Set<EntityUID>] = [:]
        var total = 0
        for entity in order {
            var all: Set<EntityUID> = []
            for parent in known[entity]?.parents ?? [] {
                all.insert(parent)
                all.formUnion(closure[parent] ?? [])
            }
            total += all.count
            guard total <= Self.maximumAncestors else { throw .hierarchyTooLarge }
            closure[entity] = all
        }
        ancestors = closure
    }

    /// The entity of that name, if there is one.
    public subscript(uid: EntityUID) -> Entity? { entities[uid] }

    /// Everything the entity belongs to, near or far, without itself.
    public func ancestors(of entity: EntityUID) -> Set<EntityUID> { ancestors[entity] ?? Self.none }

    /// The language's `in`: the same entity, or an ancestor.
    public func contains(_ entity: EntityUID, in group: EntityUID) -> Bool {
        entity == group || ancestors[entity]?.contains(group) == true
    }

    /// As many ancestors as there are at least: an entity has one for each level above it. Counted without work that
    /// grows with the result, so that a chain is refused at once.
    private static func leastAncestors(_ order: [EntityUID], _ known: [EntityUID: Entity]) -> Int {
        var levels: [EntityUID: Int] = [:]
        var total = 0
        for entity in order {
            let above = (known[entity]?.parents ?? []).map { 1 + (levels[$0] ?? 0) }.max() ?? 0
            levels[entity] = above
            total += above
        }
        return total
    }

    /// An order in which each entity comes after its parents. Kept on a stack of our own: the depth is the input's.
    private static func parentsFirst(
        _ entities: [Entity], _ known: [EntityUID: Entity]
    ) throws(EntitiesError) -> [EntityUID] {
        enum Mark { case open, done }
        var marks: [EntityUID: Mark] = [:]
        var order: [EntityUID] = []
        for entity in entities {
            var stack = [entity.uid]
            while let top = stack.last {
                switch marks[top] {
                case .done: stack.removeLast()
                case .open:
                    marks[top] = .done
                    order.append(top)
                    stack.removeLast()
                case nil:
                    marks[top] = .open
                    for parent in known[top]?.parents ?? [] {
                        if marks[parent] == .open { throw .cycle(parent) }
                        if marks[parent] == nil { stack.append(parent) }
                    }
                }
            }
        }
        return order
    }
}

/// Why entities make no hierarchy.
public enum EntitiesError: Error, Equatable, CustomStringConvertible {
    case tooManyEntities
    case hierarchyTooLarge
    case duplicate(EntityUID)
    case cycle(EntityUID)

    public var description: String {
        switch self {
        case .tooManyEntities: "more than \(Entities.maximumEntities) entities"
        case .hierarchyTooLarge: "the entities belong to more than \(Entities.maximumAncestors) groups in all"
        case .duplicate(let entity): "the entity `\(entity)` is defined twice"
        case .cycle(let entity): "the entity `\(entity)` belongs to itself"
        }
    }
}
