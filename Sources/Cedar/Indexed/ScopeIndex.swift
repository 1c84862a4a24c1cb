/// Finds the policies whose scope matches a request, at a cost that does not grow with the number of policies.
///
/// Each policy is filed under what its scope asks of the principal, and of the principal and the resource. A request
/// looks under all that its principal and resource fulfil.
struct ScopeIndex: Sendable {
    private var byPrincipal = Table<[Filed]>(none: [])
    /// Each list in the order of actions.
    private var byPair = Table<[Filed]>(none: [])

    /// One policy for one of the actions that its scope names.
    private struct Filed: Sendable {
        let policy: PolicyNumber
        let resource: Anchor
        let action: Anchor
    }

    /// Whatever is shorter than this is read from end to end.
    private static let short = 8

    mutating func insert(_ policy: PolicyNumber, _ scope: IndexedScope) {
        for action in scope.actions {
            let filed = Filed(policy: policy, resource: scope.resource, action: action)
            byPrincipal.update(UInt64(scope.principal.code)) { $0.append(filed) }
            byPair.update(Self.pair(scope.principal, scope.resource)) { list in
                list.insert(filed, at: Self.first(action, in: list))
            }
        }
    }

    mutating func remove(_ policy: PolicyNumber, _ scope: IndexedScope) {
        for key in [UInt64(scope.principal.code), Self.pair(scope.principal, scope.resource)] {
            remove(policy, under: key, from: key >> 32 == 0 ? \.byPrincipal : \.byPair)
        }
    }

    private mutating func remove(
        _ policy: PolicyNumber, under key: UInt64, from table: WritableKeyPath<ScopeIndex, Table<[Filed]>>
    ) {
        let isEmpty = self[keyPath: table].update(key) { list in
            list.removeAll { $0.policy == policy }
            return list.isEmpty
        }
        if isEmpty { self[keyPath: table].remove(key) }
    }

    /// The policies that may match. Where a scope asks for a type, whether it is that one is still to be asked.
    func candidates(principal: [Anchor], action: [Anchor], resource: [Anchor]) -> Candidates {
        var found = Candidates()
        for anchor in principal {
            guard let place = byPrincipal.place(of: UInt64(anchor.code)) else { continue }
            guard byPrincipal[place].count > max(Self.short, resource.count) else {
                for filed in byPrincipal[place] where resource.fulfil(filed.resource) && action.fulfil(filed.action) {
                    found.insert(filed.policy)
                }
                continue
            }
            for other in resource {
                guard let place = byPair.place(of: Self.pair(anchor, other)) else { continue }
                Self.collect(byPair[place], action, &found)
            }
        }
        found.finish()
        return found
    }

    private static func collect(_ list: [Filed], _ actions: [Anchor], _ found: inout Candidates) {
        if list.count <= max(short, actions.count) {
            for filed in list where actions.fulfil(filed.action) { found.insert(filed.policy) }
            return
        }
        for action in actions {
            var place = first(action, in: list)
            while place < list.count, list[place].action == action {
                found.insert(list[place].policy)
                place += 1
            }
        }
    }

    /// The first place at which the action stands or would stand.
    private static func first(_ action: Anchor, in list: [Filed]) -> Int {
        var (low, high) = (0, list.count)
        while low < high {
            let middle = (low + high) / 2
            if list[middle].action.code < action.code { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private static func pair(_ principal: Anchor, _ resource: Anchor) -> UInt64 {
        UInt64(principal.code) << 32 | UInt64(resource.code)
    }
}

/// Policies, each once and in their order. The usual few of them need no memory of their own.
struct Candidates {
    private var few: [8 of PolicyNumber] = .init(repeating: PolicyNumber(order: 0, place: 0))
    private var many: [PolicyNumber] = []
    private(set) var count = 0

    subscript(place: Int) -> PolicyNumber { many.isEmpty ? few[place] : many[place] }

    mutating func insert(_ number: PolicyNumber) {
        guard many.isEmpty else { return many.append(number) }
        var place = count
        while place > 0, number < few[place - 1] { place -= 1 }
        // A policy for several actions may be found under more than one.
        if place > 0, few[place - 1] == number { return }
        guard count < few.count else {
            for place in few.indices { many.append(few[place]) }
            return many.append(number)
        }
        var free = count
        while free > place {
            few[free] = few[free - 1]
            free -= 1
        }
        few[place] = number
        count += 1
    }

    /// To be called once, behind the last.
    mutating func finish() {
        guard !many.isEmpty else { return }
        many.sort()
        var last = 0
        for place in many.indices where many[place] != many[last] {
            last += 1
            many[last] = many[place]
        }
        count = last + 1
    }
}

/// Where a policy stands, and before that, when it came: so the numbers have the order of the policies.
struct PolicyNumber: Hashable, Comparable, Sendable {
    let code: UInt64

    init(order: UInt64, place: Int) { code = order << 20 | UInt64(place) }

    var place: Int { Int(code & (1 << 20 - 1)) }

    static func < (left: PolicyNumber, right: PolicyNumber) -> Bool { left.code < right.code }
}

/// A scope with numbers for names.
struct IndexedScope: Sendable {
    let principal: Anchor
    /// None, where the scope asks for one of none.
    let actions: [Anchor]
    let resource: Anchor
    /// The types that are to be compared in full.
    let principalType: EntityType?
    let resourceType: EntityType?

    /// - Parameter mention: gives the number of a name, which stays.
    init(_ scope: Scope, mention: (EntityUID) -> Handle) {
        (principal, principalType) = Self.anchor(scope.principal, mention)
        (resource, resourceType) = Self.anchor(scope.resource, mention)
        actions =
            switch scope.action {
            case .any: [.any]
            case .equal(let action): [.equal(mention(action))]
            case .within(let actions): Set(actions).map { .within(mention($0)) }
            }
    }

    private static func anchor(
        _ constraint: EntityConstraint, _ mention: (EntityUID) -> Handle
    ) -> (Anchor, EntityType?) {
        switch constraint {
        case .any: (.any, nil)
        case .equal(let entity): (.equal(mention(entity)), nil)
        case .within(let entity): (.within(mention(entity)), nil)
        case .isType(let type): (.type(type), type)
        case .isTypeWithin(let type, let entity): (.within(mention(entity)), type)
        }
    }
}
