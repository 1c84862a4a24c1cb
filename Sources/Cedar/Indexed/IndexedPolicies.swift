/// Policies made ready, which are found by their ids and by their scopes.
struct IndexedPolicies: Sendable {
    private var places = Paged<IndexedPolicy?>()
    /// One more than the place, by a hash of the id; where that is taken, by the next odd number that is not.
    private var ids = Table<UInt32>(none: 0)
    private var free: [Int] = []
    private var next: UInt64 = 0
    private(set) var index = ScopeIndex()
    private(set) var count = 0

    subscript(number: PolicyNumber) -> IndexedPolicy? { places[number.place] }

    subscript(id: Policy.ID) -> IndexedPolicy? { find(id).flatMap { places[$0.place] } }

    /// In their order.
    var all: [IndexedPolicy] {
        (0..<places.count).compactMap { places[$0] }.sorted { $0.number < $1.number }
    }

    /// There is none of that id.
    mutating func insert(_ policy: Policy, _ entities: inout Entities) {
        let place = free.popLast() ?? places.count
        let number = PolicyNumber(order: next, place: place)
        let indexed = IndexedPolicy(policy, number, &entities)
        if place == places.count { places.append(indexed) } else { places[place] = indexed }
        file(policy.id, place)
        index.insert(number, indexed.scope)
        next += 1
        count += 1
    }

    mutating func remove(_ id: Policy.ID, _ entities: inout Entities) {
        guard let (key, place) = find(id), let policy = places[place] else { return }
        index.remove(policy.number, policy.scope)
        for handle in policy.mentions { entities.forget(handle) }
        ids.remove(key)
        places[place] = nil
        // Those that made way for it.
        var next = key &+ 2
        while case let other = Int(ids[next]), other > 0 {
            ids.remove(next)
            if let moved = places[other - 1] { file(moved.policy.id, other - 1) }
            next &+= 2
        }
        free.append(place)
        count -= 1
    }

    private func find(_ id: Policy.ID) -> (key: UInt64, place: Int)? {
        var key = Bytes.hash(id) | 1
        while case let place = Int(ids[key]), place > 0 {
            if let policy = places[place - 1], Bytes.areEqual(policy.policy.id, id) { return (key, place - 1) }
            key &+= 2
        }
        return nil
    }

    private mutating func file(_ id: Policy.ID, _ place: Int) {
        var key = Bytes.hash(id) | 1
        while ids[key] != 0 { key &+= 2 }
        ids.update(key) { $0 = UInt32(place + 1) }
    }
}

/// A policy made ready.
final class IndexedPolicy: Sendable {
    let policy: Policy
    let effect: Effect
    let number: PolicyNumber
    let scope: IndexedScope
    let program: Program
    /// The names that keep their numbers for it.
    let mentions: [Handle]

    init(_ policy: Policy, _ number: PolicyNumber, _ entities: inout Entities) {
        var mentions: [Handle] = []
        func mention(_ uid: EntityUID) -> Handle {
            let handle = entities.mention(uid)
            mentions.append(handle)
            return handle
        }
        scope = IndexedScope(policy.scope, mention: mention)
        for condition in policy.conditions {
            condition.body.visit { expression in
                if case .literal(.entity(let uid)) = expression.kind { _ = mention(uid) }
            }
        }
        program = Program(policy.conditions, Compiler(entities: entities))
        (self.policy, effect, self.number, self.mentions) = (policy, policy.effect, number, mentions)
    }
}
