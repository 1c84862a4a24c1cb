/// Finds the policies whose scope may match a request, at a cost that does not grow with the number of policies.
///
/// Each policy is filed under the entity or type that its scope names for action, principal and resource. A request
/// looks under itself, its types and its ancestors. What it finds is a superset of what matches, and whoever asks
/// still tests the whole scope; what it does not find cannot match.
struct ScopeIndex: Sendable {
    /// What one variable of a scope asks for.
    private enum Anchor: Hashable {
        case any
        case type(EntityType)
        case entity(EntityUID)
    }

    private struct Level<Value: Sendable>: Sendable {
        var values: [Anchor: Value] = [:]

        /// Calls `body` with what is filed under the entity, walking the shorter of its ancestors and our keys.
        func visit(_ entity: EntityUID, in entities: Entities, _ body: (Value) -> Void) {
            if let value = values[.any] { body(value) }
            if let value = values[.type(entity.type)] { body(value) }
            if let value = values[.entity(entity)] { body(value) }
            let ancestors = entities.ancestors(of: entity)
            if ancestors.count <= values.count {
                for ancestor in ancestors {
                    if let value = values[.entity(ancestor)] { body(value) }
                }
            } else {
                for case (.entity(let anchor), let value) in values where ancestors.contains(anchor) { body(value) }
            }
        }
    }

    private var actions = Level<Level<Level<[Int]>>>()

    init(_ policies: [Policy]) {
        for (number, policy) in policies.enumerated() {
            let scope = policy.scope
            for action in Self.anchors(scope.action) {
                let (principal, resource) = (Self.anchor(scope.principal), Self.anchor(scope.resource))
                actions.values[action, default: .init()].values[principal, default: .init()]
                    .values[resource, default: []].append(number)
            }
        }
    }

    /// Positions of the policies that may match, ascending.
    func candidates(for request: Request, in entities: Entities) -> [Int] {
        var found: [Int] = []
        actions.visit(request.action, in: entities) { principals in
            principals.visit(request.principal, in: entities) { resources in
                resources.visit(request.resource, in: entities) { found.append(contentsOf: $0) }
            }
        }
        found.sort()
        // A policy for a list of actions is filed under each.
        return found.enumerated().filter { $0.offset == 0 || found[$0.offset - 1] != $0.element }.map(\.element)
    }

    private static func anchor(_ constraint: EntityConstraint) -> Anchor {
        switch constraint {
        case .any: .any
        case .isType(let type): .type(type)
        case .equal(let entity), .within(let entity), .isTypeWithin(_, let entity): .entity(entity)
        }
    }

    private static func anchors(_ constraint: ActionConstraint) -> [Anchor] {
        switch constraint {
        case .any: [.any]
        case .equal(let action): [.entity(action)]
        case .within(let actions): Set(actions).map { .entity($0) }
        }
    }
}
