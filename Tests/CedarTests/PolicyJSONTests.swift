import Testing

@testable import Cedar

@Suite struct PolicyJSONTests {
    private static let text = #"""
        @id("x") @note permit(principal is A in B::"b", action in [Action::"a", Action::"b"], resource) when { principal.a["b c"] == 1 && context has "x y" } unless { principal like "a*b\*" || ip("1.1.1.1").isInRange(ip("2.2.2.2")) };
        forbid(principal == A::"é", action == Action::"x", resource in R::"r") when { if true then -1 < 2 else !(principal is C in D::"d") };
        permit(principal is T, action in Action::"q", resource is T) when { 1 > 2 && 1 >= 2 && 1 != 2 && -principal.a == -1 && [1, "a", {a: 1, "b c": principal}] == [] && principal.hasTag("a") && principal.getTag("b") == 1 && [].isEmpty() && [].containsAll([1]) && -5 == -(-5) && datetime("2024-01-01").offset(duration("1h")).toTime() == 1 };
        """#

    @Test func `policies can be turned into JSON and back`() throws {
        let policies = try PolicySet(parsing: Self.text, naming: .place)
        let read = try PolicySet(parsingJSON: policies.json)
        #expect(read.policies.map(\.description) == policies.policies.map(\.description))
        #expect(read.json == policies.json)
    }

    @Test func `templates and links can be turned into JSON and back`() throws {
        let text = #"permit(principal is A in ?principal, action, resource == ?resource) when { true };"#
        let a = EntityUID(type: "A", id: "a")
        let policies = try PolicySet(parsing: text, allowingTemplates: true).linking(
            "policy0", as: "l", [.principal: a, .resource: a])
        #expect(policies.policies.map { "\($0.scope)" } == [#"(principal is A in A::"a", action, resource == A::"a")"#])
        let read = try PolicySet(parsingJSON: policies.json)
        #expect(read.json == policies.json && read.templates.count == 1)
        #expect(read.policies.first?.link == TemplateLink(template: "policy0", values: [.principal: a, .resource: a]))
    }

    @Test(arguments: [[], [Slot.principal], [.principal, .resource]])
    func `a link gives what its template asks for`(slots: [Slot]) throws {
        let policies = try PolicySet(
            parsing: "permit(principal, action, resource in ?resource);", allowingTemplates: true)
        let values = Dictionary(uniqueKeysWithValues: slots.map { ($0, EntityUID(type: "A", id: "a")) })
        #expect(throws: PolicySetError.self) { try policies.linking("policy0", as: "l", values) }
        #expect(throws: PolicySetError.noSuchTemplate("q")) { try policies.linking("q", as: "l", values) }
        let good = try policies.linking("policy0", as: "l", [.resource: EntityUID(type: "A", id: "a")])
        #expect(throws: PolicySetError.duplicateID("l")) {
            try good.linking("policy0", as: "l", [.resource: EntityUID(type: "A", id: "a")])
        }
    }

    @Test func `an extended has is asked one by one, as the reference writes it`() throws {
        let policies = try PolicySet(parsing: "permit(principal, action, resource) when { principal has a.b };")
        let expected =
            #"{"&&":{"left":{"has":{"attr":"a","left":{"Var":"principal"}}},"right":{"has":{"attr":"b","left":{".":{"attr":"a","left":{"Var":"principal"}}}}}}}"#
        #expect(policies.json.contains(expected))
    }

    private static func policy(_ body: String) -> String {
        #"{"staticPolicies":{"p":{"effect":"permit","principal":{"op":"All"},"action":{"op":"All"},"resource":{"op":"All"},"conditions":[{"kind":"when","body":\#(body)}]}},"templates":{},"templateLinks":[]}"#
    }

    @Test(arguments: [
        (
            #"{"Value":{"a":[1,{"__entity":{"type":"A","id":"b"}},{"__extn":{"fn":"ip","arg":"1.1.1.1"}}]}}"#,
            #"{a: [1, A::"b", ip("1.1.1.1")]}"#
        ),
        (#"{"neg":{"arg":{"Value":5}}}"#, "-(5)"),
        (#"{"-":{"left":{"Value":1},"right":{"-":{"left":{"Value":2},"right":{"Value":3}}}}}"#, "1 - (2 - 3)"),
        (#"{"like":{"left":{"Value":"x"},"pattern":["Wildcard",{"Literal":"a*"},"Wildcard"]}}"#, #""x" like "*a\**""#),
        (#"{"has":{"left":{"Var":"principal"},"attr":["a","b"]}}"#, "principal has a.b"),
        (#"{"is":{"left":{"Var":"principal"},"entity_type":"A::B","in":{"Value":1}}}"#, "principal is A::B in 1"),
    ])
    func `an expression is read`(body: String, text: String) throws {
        let policies = try PolicySet(parsingJSON: Self.policy(body))
        #expect(policies.policies.first?.conditions.map(\.body.description) == [text])
    }

    @Test(arguments: [
        #"{"Value":null}"#, #"{"Var":"x"}"#, "{}", "[]", #"{"foo":[]}"#, #"{"Slot":"?principal"}"#,
        #"{"Unknown":{"name":"x"}}"#,
        #"{"!":{}}"#, #"{"&&":{"left":{"Value":true}}}"#, #"{".":{"left":{"Var":"principal"}}}"#,
        #"{"has":{"left":{"Var":"principal"},"attr":[]}}"#,
        #"{"is":{"left":{"Var":"principal"},"entity_type":"if"}}"#, #"{"like":{"left":{"Value":"x"},"pattern":["x"]}}"#,
        #"{"Value":1,"Var":"principal"}"#,
        String(repeating: #"{"!":{"arg":"#, count: 500) + #"{"Value":true}"# + String(repeating: "}}", count: 500),
    ])
    func `what is no expression is refused`(body: String) {
        #expect(throws: JSONError.self) { try PolicySet(parsingJSON: Self.policy(body)) }
    }

    @Test(arguments: [
        "{}", #"{"staticPolicies":{}}"#, "[", #"{"staticPolicies":{"p":{}},"templates":{},"templateLinks":[]}"#,
        #"{"staticPolicies":{},"templates":{},"templateLinks":[{"templateId":"t","newId":"l","values":{}}]}"#,
        #"{"staticPolicies":{"p":{"effect":"permit","principal":{"op":"==","slot":"?principal"},"action":{"op":"All"},"resource":{"op":"All"},"conditions":[]}},"templates":{},"templateLinks":[]}"#,
        #"{"staticPolicies":{"p":{"effect":"permit","principal":{"op":"All"},"action":{"op":"==","entity":{"type":"A","id":"x"}},"resource":{"op":"All"},"conditions":[]}},"templates":{},"templateLinks":[]}"#,
    ])
    func `what is no policy set is refused`(text: String) {
        #expect(throws: JSONError.self) { try PolicySet(parsingJSON: text) }
    }

    @Test(arguments: 0..<50)
    func `random conditions survive the way through JSON`(seed: Int) throws {
        var random = RandomExpression(seed: UInt64(seed))
        for _ in 0..<20 {
            let body = random.expression(depth: 4)
            let policies = try PolicySet(parsing: "permit(principal, action, resource) when { \(body) };")
            let read = try PolicySet(parsingJSON: policies.json)
            #expect(read.json == policies.json)
        }
    }
}
