import Testing

@testable import Cedar

@Suite struct ExplanationTests {
    private static let ann = EntityUID(type: "User", id: "ann")
    private static let plan = EntityUID(type: "Doc", id: "plan")

    private static func answer(_ text: String, _ context: [Text: Value] = [:]) throws -> Answer {
        let entities = try Entities([
            Entity(ann, attributes: ["dept": .string("a"), "level": .long(3)]),
            Entity(plan, attributes: ["dept": .string("b"), "owner": .entity(EntityUID(type: "User", id: "ben"))]),
        ])
        let indexed = IndexedAuthorizer(policies: try PolicySet(parsing: text), entities: entities)
        let read = EntityUID(type: "Action", id: "read")
        return indexed.decide(Request(principal: ann, action: read, resource: plan, context: Context(context)))
    }

    private static func sentence(_ condition: String, _ context: [Text: Value] = [:]) throws -> String {
        try answer("permit(principal, action, resource) \(condition);", context).explanation.description
    }

    @Test func `who decided is told with his line`() throws {
        let text = """
            @id("all") permit(principal, action, resource);
            @id("more") permit(principal, action, resource);

            @id("night") forbid(principal, action, resource) when { context.hour >= 22 };
            """
        #expect(
            try Self.answer(text, ["hour": .long(9)]).explanation.description
                == "allowed by `all` at line 1, `more` at line 2")
        #expect(try Self.answer(text, ["hour": .long(23)]).explanation.description == "forbidden by `night` at line 4")
    }

    @Test(arguments: [
        (#"when { context.hour >= 8 && context.hour < 18 }"#, "`context.hour` is 20, outside 8 to 18"),
        (
            #"when { 8 <= context.hour && principal has level && 18 > context.hour }"#,
            "`context.hour` is 20, outside 8 to 18"
        ),
        (
            #"when { context.now.toTime() >= duration("9h") && context.now.toTime() < duration("17h") }"#,
            "`context.now.toTime()` is 7h, outside 9h to 17h"
        ),
        (#"when { context.hour < 18 }"#, "`context.hour` is 20, so that `context.hour < 18` is false"),
        (#"when { context.mfa }"#, "`context.mfa` is false"),
        (
            #"when { true } when { !(context.mfa || context.hour == 20) }"#,
            "`context.hour` is 20, so that `context.hour == 20` is true"
        ),
        (
            #"when { principal.dept == resource.dept }"#,
            #"`principal.dept` is "a" and `resource.dept` is "b", so that `principal.dept == resource.dept` is false"#
        ),
        (#"when { context has ticket }"#, "`context` has no `ticket`"),
        (
            #"when { context.ip.isInRange(ip("10.0.0.0/8")) }"#,
            #"`context.ip` is 192.0.2.1, so that `context.ip.isInRange(ip("10.0.0.0/8"))` is false"#
        ),
        (
            #"when { if context.mfa then true else resource.owner == principal }"#,
            #"`resource.owner` is User::"ben" and `principal` is User::"ann", so that `resource.owner == principal` is false"#
        ),
        (
            #"when { context.mfa || principal.level > 3 }"#,
            "`context.mfa` is false and `principal.level` is 3, so that `principal.level > 3` is false"
        ),
        (#"when { false }"#, "`false` is false"),
    ])
    func `what keeps a permit from applying is named with what it came to`(condition: String, reason: String) throws {
        let context: [Text: Value] = [
            "hour": .long(20), "mfa": .bool(false), "ip": .ip(try Value.IPAddress("192.0.2.1")),
            "now": .datetime(try Value.Datetime("2026-01-31T07:00:00Z")),
        ]
        #expect(
            try Self.sentence(condition, context) == "no permit applies: `policy0` at line 1 does not, as \(reason)")
    }

    @Test func `an exception that keeps a permit off is named as one`() throws {
        #expect(
            try Self.sentence("unless { principal.level > 2 }")
                == "no permit applies: `policy0` at line 1 makes an exception, as `principal.level` is 3, so that "
                + "`principal.level > 2` is true")
    }

    @Test func `where no permit is for a request, that is said, and which is nearest`() throws {
        let answer = try Self.answer(
            """
            permit(principal == User::"ben", action, resource);
            permit(principal, action, resource == Doc::"other");
            permit(principal == User::"ben", action == Action::"write", resource);
            """)
        #expect(
            answer.explanation.description == #"no permit is for `User::"ann"`, `Action::"read"` and `Doc::"plan"`"#)
        #expect(answer.nearestPermits(atMost: 5).map(\.policy.id) == ["policy0", "policy1"])
        #expect(answer.nearestPermits(atMost: 5).map(\.mismatch) == [.principal, .resource])
        #expect(answer.nearestPermits(atMost: 1).count == 1)
    }

    @Test func `what was skipped is told behind what decided`() throws {
        let explanation = try Self.answer(
            "permit(principal, action, resource);\nforbid(principal, action, resource) when { context.hour < 9 };"
        ).explanation
        #expect(
            explanation.description
                == "allowed by `policy0` at line 1; `policy1` at line 2 was skipped: the record has no attribute `hour`"
        )
        #expect(explanation.skipped.map(\.policy.id) == ["policy1"])
    }

    @Test func `many policies are counted rather than named`() throws {
        let permit = "permit(principal, action, resource)"
        let many = String(repeating: "\(permit) when { false };", count: 5)
        #expect(try Self.answer(many).explanation.description.hasSuffix("`false` is false; and 2 more"))
        #expect(
            try Self.answer(String(repeating: "\(permit);", count: 5)).explanation.description.hasSuffix(" and 2 more"))
    }

    /// What is said is evaluated again, each piece alone.
    @Test(arguments: 0..<60)
    func `what an explanation says is so`(seed: Int) throws {
        var world = World(seed: UInt64(seed))
        var conditions = RandomCondition(seed: UInt64(seed), entities: world.agents + world.groups)
        let entities = try Entities(world.list().map { conditions.entity($0) })
        let policies = (0..<15).map { conditions.policy(world.policy($0)) }
        let indexed = IndexedAuthorizer(policies: try PolicySet(policies), entities: entities)
        let model = Authorizer(policies: try PolicySet(policies), entities: entities)
        for _ in 0..<15 {
            let request = world.request(conditions.context())
            let explanation = indexed.decide(request).explanation
            let response = model.authorize(request)
            #expect(explanation.decision == response.decision && explanation.determining == response.determining)
            #expect(explanation.skipped.map { PolicyError(policy: $0.policy.id, error: $0.error) } == response.errors)
            let silent = model.candidates(for: request).filter {
                $0.effect == .permit && model.verdict(of: $0, on: request) == .holdsNot
            }
            let isBare = response.decision == .deny && response.determining.isEmpty
            #expect(explanation.obstacles.map(\.policy) == (isBare ? silent : []))
            for obstacle in explanation.obstacles {
                Self.check(obstacle, Evaluator(request: request, entities: entities))
            }
        }
    }

    private static func check(_ obstacle: Explanation.Obstacle, _ evaluator: Evaluator) {
        let value = Value.bool(obstacle.condition.kind == .unless)
        #expect((try? evaluator.value(of: obstacle.condition.body)) == value)
        for condition in obstacle.policy.conditions.prefix(obstacle.clause) {
            #expect((try? evaluator.value(of: condition.body)) == .bool(condition.kind == .when))
        }
        #expect(!obstacle.causes.isEmpty)
        for cause in obstacle.causes {
            #expect((try? evaluator.value(of: cause.expression)) == .bool(cause.value))
            for operand in cause.operands { #expect((try? evaluator.value(of: operand.expression)) == operand.value) }
            #expect(cause.otherBound == nil || cause.expression.kind.children.count == 2)
        }
    }
}
