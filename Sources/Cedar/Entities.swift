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
///
/// Each name that an entity, a parent, an attribute or a policy mentions has a number. One entity can be put in or taken
/// out at a cost that does not grow with how many there are, also while others hold a copy from before.
public struct Entities: Sendable {
    public static let maximumEntities = 200_000
    /// Over all entities; the hierarchies of meshes are flat, and a chain would fill memory by its square.
    public static let maximumAncestors = 4_000_000

    /// By number.
    private var slots = Paged<Slot>()
    /// Numbers by the name's fingerprint; where that is taken, by the next odd number that is not.
    private var handles = Table<Handle>(none: 0)
    private var free: [Handle] = []
    private var ancestorCount = 0
    /// How many entities there are.
    public private(set) var count = 0
    /// The bits of a fingerprint that count; all, but in tests of what happens when two are the same.
    private let mask: UInt64

    private struct Slot: Sendable {
        var row: Row
        /// By an entity that it is, its children, attributes and policies. The number is free when there are none.
        var mentions = 1
        /// The entities that directly belong to it.
        var children: [Handle] = []
    }

    /// A parent need not be an entity itself; then it has no parents.
    public init(_ entities: [Entity]) throws(EntitiesError) { try self.init(entities, mask: .max) }

    init(_ entities: [Entity], mask: UInt64) throws(EntitiesError) {
        self.mask = mask
        guard entities.count <= Self.maximumEntities else { throw .tooManyEntities }
        // No entity has the number 0.
        slots.append(Slot(row: Row(EntityUID(type: "none", id: ""), 0)))
        for entity in entities {
            let handle = mention(entity.uid)
            guard slots[Int(handle)].row.entity == nil else { throw .duplicate(entity.uid) }
            enter(entity, handle)
        }
        let handles = entities.compactMap { find($0.uid) }
        let order = try parentsFirst(handles)
        guard leastAncestors(order) <= Self.maximumAncestors else { throw .hierarchyTooLarge }
        for handle in order { try refreshAncestors(of: handle) }
    }

    /// The entity of that name, if there is one.
    public subscript(uid: EntityUID) -> Entity? { find(uid).flatMap { row($0).entity } }

    /// Everything the entity belongs to, near or far, without itself.
    public func ancestors(of entity: EntityUID) -> Set<EntityUID> {
        guard let handle = find(entity) else { return [] }
        return Set(row(handle).ancestors.map { row($0).uid })
    }

    /// The language's `in`: the same entity, or an ancestor.
    public func contains(_ entity: EntityUID, in group: EntityUID) -> Bool {
        guard let handle = find(entity), let group = find(group) else { return entity == group }
        return row(handle).isWithin(group)
    }

    /// Puts an entity in, also where there is one of the same name, which it replaces.
    ///
    /// - Throws: and then nothing is changed.
    public mutating func insert(_ entity: Entity) throws(EntitiesError) {
        let old = self[entity.uid]
        guard count < Self.maximumEntities || old != nil else { throw .tooManyEntities }
        if let old, let handle = find(entity.uid), Set(old.parents) == Set(entity.parents) {
            return replaceAttributes(handle, entity)
        }
        var changed = self
        changed.leave(entity.uid)
        let handle = changed.mention(entity.uid)
        changed.enter(entity, handle)
        for parent in changed.parents(of: handle) where changed.row(parent).isWithin(handle) {
            throw .cycle(changed.row(parent).uid)
        }
        try changed.refresh(below: handle)
        self = changed
    }

    /// Takes an entity out. Others may still belong to what it was.
    public mutating func remove(_ uid: EntityUID) { leave(uid) }
}

// MARK: - Names and numbers

extension Entities {
    /// What is known of the name with this number.
    func row(_ handle: Handle) -> Row { slots[Int(handle)].row }

    /// The number of the name, if something mentions it.
    // Inlined, as the three that decisions call are, because a call would count a reference to every part of us.
    @inline(__always)
    func find(_ uid: EntityUID) -> Handle? {
        var key = fingerprint(of: uid)
        while true {
            let handle = handles[key]
            if handle == 0 { return nil }
            if slots[Int(handle)].row.uid == uid { return handle }
            key &+= 2
        }
    }

    /// The number of the name, which stays until it is forgotten as often as it was mentioned.
    mutating func mention(_ uid: EntityUID) -> Handle {
        if let handle = find(uid) {
            slots[Int(handle)].mentions += 1
            return handle
        }
        let handle = free.popLast() ?? Handle(slots.count)
        let slot = Slot(row: Row(uid, handle))
        if Int(handle) == slots.count { slots.append(slot) } else { slots[Int(handle)] = slot }
        file(handle)
        return handle
    }

    mutating func forget(_ handle: Handle) {
        slots[Int(handle)].mentions -= 1
        guard slots[Int(handle)].mentions == 0 else { return }
        var key = fingerprint(of: row(handle).uid)
        while handles[key] != handle { key &+= 2 }
        handles.remove(key)
        // Those that made way for it.
        key &+= 2
        while case let other = handles[key], other != 0 {
            handles.remove(key)
            file(other)
            key &+= 2
        }
        free.append(handle)
    }

    private mutating func file(_ handle: Handle) {
        var key = fingerprint(of: row(handle).uid)
        while handles[key] != 0 { key &+= 2 }
        handles.update(key) { $0 = handle }
    }

    private func fingerprint(of uid: EntityUID) -> UInt64 { uid.fingerprint & mask }

    /// A value in the form that conditions compute with. A name that nothing else mentions has no number.
    @inline(__always)
    func operand(_ value: Value) -> Operand {
        switch value {
        case .bool(let bool): .bool(bool)
        case .long(let long): .long(long)
        case .entity(let uid): find(uid).map { .entity($0) } ?? .other(value)
        default: .other(value)
        }
    }

    /// Nil where there is no value.
    @inline(__always)
    func value(_ operand: Operand) -> Value? {
        switch operand {
        case .bool(let bool): .bool(bool)
        case .long(let long): .long(long)
        case .entity(let handle): .entity(row(handle).uid)
        case .other(let value): value
        case .failed: nil
        }
    }
}

// MARK: - Changes

extension Entities {
    /// Makes a name an entity, which has the ancestors of none yet.
    private mutating func enter(_ entity: Entity, _ handle: Handle) {
        for parent in Set(entity.parents) { slots[Int(mention(parent))].children.append(handle) }
        ancestorCount -= row(handle).ancestorCount
        slots[Int(handle)].row = attributed(entity, handle, ancestors: [])
        count += 1
    }

    private mutating func attributed(_ entity: Entity, _ handle: Handle, ancestors: [Handle]) -> Row {
        var values: [Operand] = []
        for (_, value) in entity.attributes {
            if case .entity(let uid) = value { _ = mention(uid) }
            values.append(operand(value))
        }
        let names = entity.attributes.map { AttributeName($0.key) }
        return Row(entity.uid, handle, entity: entity, ancestors: ancestors, names: names, values: values)
    }

    private mutating func replaceAttributes(_ handle: Handle, _ entity: Entity) {
        let old = row(handle)
        slots[Int(handle)].row = attributed(entity, handle, ancestors: old.ancestors)
        for case .entity(let other) in old.values { forget(other) }
    }

    private mutating func leave(_ uid: EntityUID) {
        guard let handle = find(uid), let entity = row(handle).entity else { return }
        let (parents, values) = (parents(of: handle), row(handle).values)
        for parent in parents { slots[Int(parent)].children.removeAll { $0 == handle } }
        ancestorCount -= row(handle).ancestorCount
        slots[Int(handle)].row = Row(entity.uid, handle)
        count -= 1
        // With less to belong to, nothing becomes too large.
        if !parents.isEmpty { try? refresh(below: handle) }
        for parent in parents { forget(parent) }
        for case .entity(let other) in values { forget(other) }
        forget(handle)
    }

    /// Without repetition.
    private func parents(of handle: Handle) -> [Handle] {
        guard let entity = row(handle).entity else { return [] }
        if entity.parents.count < 2 { return entity.parents.compactMap(find) }
        return Set(entity.parents).compactMap(find)
    }

    /// Works out anew what an entity and all that belong to it belong to.
    private mutating func refresh(below handle: Handle) throws(EntitiesError) {
        for entity in descendants(of: handle) { try refreshAncestors(of: entity) }
    }

    /// From the ancestors of its parents, which are right.
    private mutating func refreshAncestors(of handle: Handle) throws(EntitiesError) {
        let parents = parents(of: handle)
        var all = parents
        for parent in parents { all += row(parent).ancestors }
        all.sort()
        var ancestors: [Handle] = []
        for handle in all where ancestors.last != handle { ancestors.append(handle) }
        ancestorCount += ancestors.count - row(handle).ancestorCount
        guard ancestorCount <= Self.maximumAncestors else { throw .hierarchyTooLarge }
        if ancestors != row(handle).ancestors { slots[Int(handle)].row = row(handle).with(ancestors: ancestors) }
    }

    /// The entity and what belongs to it, each after its parents among them.
    private func descendants(of handle: Handle) -> [Handle] {
        guard !slots[Int(handle)].children.isEmpty else { return [handle] }
        var seen: Set<Handle> = [handle]
        var stack = [(handle: handle, next: 0)]
        var childrenFirst: [Handle] = []
        while let top = stack.last {
            let children = slots[Int(top.handle)].children
            guard top.next < children.count else {
                childrenFirst.append(stack.removeLast().handle)
                continue
            }
            stack[stack.count - 1].next += 1
            if seen.insert(children[top.next]).inserted { stack.append((children[top.next], 0)) }
        }
        return childrenFirst.reversed()
    }
}

// MARK: - Many at once

extension Entities {
    /// As many ancestors as there are at least: an entity has one for each level above it. Counted without work that
    /// grows with the result, so that a chain is refused at once.
    private func leastAncestors(_ order: [Handle]) -> Int {
        var levels = [Int](repeating: 0, count: slots.count)
        var total = 0
        for handle in order {
            let above = parents(of: handle).map { 1 + levels[Int($0)] }.max() ?? 0
            levels[Int(handle)] = above
            total += above
        }
        return total
    }

    /// An order in which each entity comes after its parents. Kept on a stack of our own: the depth is the input's.
    private func parentsFirst(_ entities: [Handle]) throws(EntitiesError) -> [Handle] {
        enum Mark { case new, open, done }
        var marks = [Mark](repeating: .new, count: slots.count)
        var order: [Handle] = []
        for entity in entities {
            var stack = [entity]
            while let top = stack.last {
                switch marks[Int(top)] {
                case .done: stack.removeLast()
                case .open:
                    marks[Int(top)] = .done
                    order.append(top)
                    stack.removeLast()
                case .new:
                    marks[Int(top)] = .open
                    for parent in parents(of: top) {
                        if marks[Int(parent)] == .open { throw .cycle(row(parent).uid) }
                        if marks[Int(parent)] == .new { stack.append(parent) }
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
