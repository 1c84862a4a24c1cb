import Cedar

/// Our engine at one scale.
struct Subject {
    let scale: Scale
    let requests: [Request]
    let authorizer: IndexedAuthorizer
    private let texts: [String]

    init(_ scale: Scale) throws {
        self.scale = scale
        requests = try scale.requestList()
        texts = scale.policyTexts
        authorizer = IndexedAuthorizer(policies: try Self.policies(scale), entities: try Entities(scale.entityList))
    }

    /// Read in pieces, as one text has a bound, and named by their place among all.
    static func policies(_ scale: Scale) throws -> PolicySet {
        let texts = scale.policyTexts
        var policies: [Policy] = []
        for start in stride(from: 0, to: texts.count, by: 1_000) {
            let text = texts[start..<min(start + 1_000, texts.count)].joined(separator: "\n")
            for var policy in try PolicySet(parsing: text, naming: .place).policies {
                policy.id = "policy\(policies.count)"
                policies.append(policy)
            }
        }
        return try PolicySet(policies)
    }

    func decideAll() { for request in requests { consume(authorizer.decide(request)) } }

    func decisions(_ count: Int) -> Samples {
        Samples(count: count) { consume(authorizer.decide(requests[$0 % requests.count])) }
    }

    func explanations() -> Samples {
        Samples(count: 10 * requests.count) { number in
            consume(authorizer.decide(requests[number % requests.count]).explanation.description)
        }
    }

    /// For each request of it.
    func batches() -> Samples {
        Samples(
            Samples(count: 60) { _ in consume(authorizer.decide(requests)) }.sorted.map { $0 / Double(requests.count) })
    }

    func preparations() throws -> Samples {
        let text = texts.joined(separator: "\n")
        return try Samples(count: 15) { _ in
            consume(
                IndexedAuthorizer(policies: try PolicySet(parsing: text, naming: .place), entities: try Entities([])))
        }
    }

    func filters() throws -> Samples {
        let partial = try PartialAuthorizer(
            policies: try Self.policies(scale), schema: try Schema(parsing: Scale.schema), principal: "User",
            action: EntityUID(type: "Action", id: "read"), resource: "Document")
        let entities = authorizer.entities
        return Samples(count: 500) { number in
            let asked = requests[number % requests.count]
            consume(
                partial.authorize(PartialRequest(principal: asked.principal.id, context: asked.context), in: entities))
        }
    }

    func policyChanges() throws -> Samples {
        var (changing, held) = (authorizer, authorizer)
        let policies = try (0..<200).map { number in
            var policy = try PolicySet(parsing: scale.policyText(number)).policies[0]
            policy.id = "policy\(number * 41)"
            return policy
        }
        return try Samples(count: 1_000) { number in
            // Someone else decides by the state before, so that nothing can be changed in place.
            held = changing
            try changing.insert(policies[number % policies.count])
            consume(held)
        }
    }

    func entityChanges() throws -> Samples {
        var (changing, held) = (authorizer, authorizer)
        let entities = (0..<200).map { number in
            let one = scale.entity(user: number * 17)
            return Entity(one.uid, in: scale.entity(user: number * 17 + number % 3).parents, attributes: one.attributes)
        }
        return try Samples(count: 1_000) { number in
            held = changing
            try changing.insert(entities[number % entities.count])
            consume(held)
        }
    }

    /// Keeps the optimiser from leaving out what is measured.
    @inline(never)
    private func consume<Result>(_ result: Result) {}
}
