import Testing

@testable import Cedar

/// The indexed authorizer beside the one that reads every policy and walks its tree.
@Suite struct IndexedTests {
    @Test(arguments: 0..<60)
    func `it answers as reading every policy does`(seed: Int) throws {
        var world = World(seed: UInt64(seed))
        var conditions = RandomCondition(seed: UInt64(seed), entities: world.agents + world.groups)
        let entities = try Entities(world.list().map { conditions.entity($0) })
        let policies = (0..<Int.random(in: 0...40, using: &world.random)).map { conditions.policy(world.policy($0)) }
        let indexed = IndexedAuthorizer(policies: try PolicySet(policies), entities: entities)
        let model = Authorizer(policies: try PolicySet(policies), entities: entities)
        for _ in 0..<20 {
            let request = world.request(conditions.context())
            #expect(indexed.decide(request).response == model.authorize(request))
            #expect(indexed.candidates(for: request) == model.candidates(for: request))
        }
    }

    @Test(arguments: 0..<120)
    func `a condition that makes no sense ends as its tree does`(seed: Int) throws {
        var expressions = RandomExpression(seed: UInt64(seed))
        var world = World(seed: UInt64(seed))
        let policies = (0..<20).map { number in
            let policy = world.policy(number)
            let conditions = [Condition(.when, expressions.expression(depth: 3))]
            return Policy(
                id: policy.id, effect: policy.effect, scope: Scope(principal: .any, action: .any, resource: .any),
                conditions: conditions, range: policy.range)
        }
        let (set, entities) = (try PolicySet(policies), try world.entities())
        let request = world.request(Context(["a": .long(1), "if": .record([:])], isPartial: seed % 2 == 0))
        #expect(
            IndexedAuthorizer(policies: set, entities: entities).decide(request).response
                == Authorizer(policies: set, entities: entities).authorize(request))
    }

    @Test(arguments: 0..<20)
    func `changes one by one end where a fresh start does, and copies stay as they were`(seed: Int) throws {
        var world = World(seed: UInt64(seed))
        var conditions = RandomCondition(seed: UInt64(seed), entities: world.agents + world.groups)
        var indexed = IndexedAuthorizer(policies: try PolicySet([]), entities: try Entities([]))
        var (policies, entities): ([Policy], [Entity]) = ([], [])
        var (old, oldAnswers): (IndexedAuthorizer, [Request: Response]) = (indexed, [:])
        for step in 0..<120 {
            switch Int.random(in: 0..<5, using: &world.random) {
            case 0, 1:
                let policy = conditions.policy(world.policy(Int.random(in: 0..<20, using: &world.random)))
                policies.removeAll { $0.id == policy.id }
                policies.append(policy)
                try indexed.insert(policy)
            case 2:
                let id = "p\(Int.random(in: 0..<20, using: &world.random))"
                policies.removeAll { $0.id == id }
                indexed.removePolicy(id)
            case 3:
                let entity = conditions.entity(world.list().randomElement(using: &world.random)!)
                let others = entities.filter { $0.uid != entity.uid }
                guard (try? Entities(others + [entity])) != nil else { continue }
                entities = others + [entity]
                try indexed.insert(entity)
            default:
                guard let entity = entities.randomElement(using: &world.random) else { continue }
                entities.removeAll { $0.uid == entity.uid }
                indexed.removeEntity(entity.uid)
            }
            #expect(indexed.policyCount == policies.count && indexed.entities.count == entities.count)
            guard step % 10 == 0 else { continue }
            for (request, answer) in oldAnswers { #expect(old.decide(request).response == answer) }
            let model = Authorizer(policies: try PolicySet(policies), entities: try Entities(entities))
            (old, oldAnswers) = (indexed, [:])
            for _ in 0..<10 {
                let request = world.request(conditions.context())
                oldAnswers[request] = model.authorize(request)
                #expect(indexed.decide(request).response == model.authorize(request))
            }
        }
    }

    @Test func `only policies filed under the request are asked`() throws {
        let text = (0..<10_000).map {
            #"permit(principal == Agent::"a\#($0)", action == Action::"read", resource == Service::"s\#($0 % 7)");"#
        }
        let indexed = IndexedAuthorizer(
            policies: try PolicySet(parsing: text.joined(separator: "\n")), entities: try Entities([]))
        let request = Request(
            principal: EntityUID(type: "Agent", id: "a77"), action: EntityUID(type: "Action", id: "read"),
            resource: EntityUID(type: "Service", id: "s0"))
        #expect(indexed.decide(request).records.map(\.policy.policy.id) == ["policy77"])
    }

    @Test func `a policy for many actions under one principal and resource is found by its action`() throws {
        let text = (0..<100).map { #"permit(principal, action in [Action::"x\#($0)", Action::"y"], resource);"# }
        let policies = try PolicySet(parsing: text.joined(separator: "\n"))
        let indexed = IndexedAuthorizer(policies: policies, entities: try Entities([]))
        for (action, count) in [("x5", 1), ("y", 100), ("z", 0)] {
            let agent = EntityUID(type: "Agent", id: "a")
            let request = Request(principal: agent, action: EntityUID(type: "Action", id: action), resource: agent)
            #expect(indexed.decide(request).determining.count == count)
        }
    }

    @Test func `one policy too many is refused, and one that replaces another is not`() throws {
        var world = World(seed: 0)
        let policies = (0..<PolicySet.maximumPolicies).map { world.policy($0) }
        var indexed = IndexedAuthorizer(policies: try PolicySet(policies), entities: try Entities([]))
        #expect(throws: PolicySetError.tooManyPolicies) { try indexed.insert(world.policy(PolicySet.maximumPolicies)) }
        try indexed.insert(world.policy(0))
        #expect(indexed.policyCount == PolicySet.maximumPolicies)
    }
}
