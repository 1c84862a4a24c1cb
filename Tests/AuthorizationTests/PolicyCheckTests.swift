import Authorization
import Mesh
import Testing

@Suite struct PolicyCheckTests {
    @Test(arguments: [
        "permit (principal, action, resource);",
        "permit (principal is Agent in Group::\"research\", action in [Action::\"connect\", Action::\"read\"], resource is Service);",
        "permit (principal in Agent::\"deep/er\", action, resource in Tag::\"money\");",
        "permit (principal == Node::\"node-b\", action == Action::\"agent:launch\", resource in Group::\"research\");",
        "permit (principal, action == Action::\"agent:launch\", resource in Agent::\"crew\") when { context.selectors.hasTag(\"unix:user\") && context.selectors.getTag(\"unix:user\") == \"ann\" };",
        "forbid (principal, action, resource == Agent::\"one\") when { context.node == Node::\"node-b\" };",
        "@id(\"x\") forbid (principal == Agent::\"gone\", action == Action::\"connect\", resource in Service::\"wiki\");",
    ])
    func `what can match is accepted`(text: String) throws {
        try Demo.snapshot(text).check()
    }

    @Test(arguments: [
        ("principal == Agent::\"won\", action, resource", "there is no agent `Agent::\"won\"`"),
        ("principal in Group::\"reserch\", action, resource", "no agent is in the group `Group::\"reserch\"`"),
        ("principal, action == Action::\"conect\", resource", "there is no action `Action::\"conect\"`"),
        ("principal, action, resource == Service::\"leger\"", "there is no service `Service::\"leger\"`"),
        ("principal, action, resource in Tag::\"production\"", "no service bears the tag `Tag::\"production\"`"),
        ("principal == agent::\"one\", action, resource", "there is no entity type `agent` in a mesh"),
        ("principal is Robot, action, resource", "there is no entity type `Robot` in a mesh"),
        ("principal, action, resource == Node::\"node-c\"", "there is no node `Node::\"node-c\"`"),
        (
            "principal == User::\"bob\", action, resource",
            "nobody is known as `User::\"bob\"`: people are admins, and the owners of agents"
        ),
        (
            "principal == Group::\"research\", action, resource",
            "can never match: the principal of every request is of type `Agent`, so write `principal in Group::\"research\"`"
        ),
        (
            "principal, action, resource == Tag::\"prod\"",
            "can never match: the resource of every request is of type `Service`, so write `resource in Tag::\"prod\"`"
        ),
        (
            "principal is User, action == Action::\"connect\", resource",
            "can never match: the principal of every request is of type `Agent`"
        ),
        (
            "principal, action, resource is Tag in Tag::\"prod\"",
            "can never match: the resource of every request is of type `Service`"
        ),
        (
            "principal in Service::\"wiki\", action, resource",
            "can never match: the principal of every request is of type `Agent`, and in groups of type `Group`"
        ),
        (
            "principal, action == Action::\"http:GET\", resource",
            "nothing asks for such an action in this version, only for `Action::\"connect\"` and `Action::\"agent:launch\"`"
        ),
        (
            "principal == Agent::\"one\", action == Action::\"agent:launch\", resource",
            "can never match: the principal of every request is of type `Node` or `User`"
        ),
        (
            "principal, action == Action::\"agent:launch\", resource == Service::\"wiki\"",
            "can never match: the resource of every request is of type `Agent`"
        ),
        (
            "principal, action in [], resource",
            "nothing asks for such an action in this version, only for `Action::\"connect\"` and `Action::\"agent:launch\"`"
        ),
    ])
    func `what cannot match as written is refused`(scope: String, message: String) throws {
        let snapshot = try Demo.snapshot("\n\n  @id(\"x\") forbid (\(scope));")
        let error = #expect(throws: AuthorizationError.self) { try snapshot.check() }
        #expect(error?.description == "demo.cedar:3:3: policy `x`: \(message)")
    }

    @Test(arguments: [
        "context.now.toTime() < duration(\"9h\") && context.now >= datetime(\"2027-01-01\")",
        "principal.owner == User::\"ann@example.org\" && resource.node == Node::\"node-b\"",
        "principal in Group::\"research\" || principal in Agent::\"crew\" || resource in Tag::\"prod\"",
    ])
    func `a condition that can be decided is accepted`(condition: String) throws {
        try Demo.snapshot("forbid (principal, action == Action::\"connect\", resource) when { \(condition) };").check()
    }

    @Test func `what does not go together in launches alone says so`() throws {
        let snapshot = try Demo.snapshot("forbid (principal, action, resource) when { principal.disabled };")
        let error = #expect(throws: AuthorizationError.self) { try snapshot.check() }
        #expect(
            error?.description
                == "demo.cedar:1:45: policy `policy0`: Node has no attribute `disabled`; it is asked of connections and of "
                + "launches, so name the action, as in `action == Action::\"connect\"`")
    }

    @Test(arguments: [
        ("context.flow.port == 22", "3:8", "packets tell a policy `context.now` alone, not `context.flow`"),
        ("context has approval", "3:8", "packets tell a policy `context.now` alone, not `context.approval`"),
        ("{} == context", "3:14", "packets tell a policy `context.now` alone, not the whole `context`"),
        ("principal in Group::\"reserch\"", "3:21", "no agent is in the group `Group::\"reserch\"`"),
        ("principal is Robot", "3:8", "there is no entity type `Robot` in a mesh"),
        ("principal.ower == resource", "3:8", "an entity of type `Agent` has no attribute `ower`"),
        ("principal.owner.email == \"a\"", "3:8", "an entity of type `User` has no attribute `email`"),
        ("resource has prot", "3:8", "an entity of type `Service` has no attribute `prot`"),
        ("principal.hasTag(\"team\")", "3:8", "no entity of a mesh has tags of that kind"),
        (
            "context.now > datetime(\"2027-13-01\")", "3:22",
            "`datetime`: \"2027-13-01\" is no date and time, such as \"2026-01-31T09:00:00Z\""
        ),
    ])
    func `a condition that asks for what is not there is refused where it asks`(
        condition: String, place: String, message: String
    ) throws {
        let snapshot = try Demo.snapshot("@id(\"x\") forbid (principal, action, resource)\n\nwhen { \(condition) };")
        let error = #expect(throws: AuthorizationError.self) { try snapshot.check() }
        #expect(error?.description == "demo.cedar:\(place): policy `x`: \(message)")
    }

    @Test func `every bad policy is named, up to twenty`() throws {
        let bad = String(repeating: "forbid (principal is Robot, action, resource);\n", count: 30)
        let error = #expect(throws: AuthorizationError.self) { try Demo.snapshot(bad).check() }
        guard case .policies(let problems) = error else { return #expect(Bool(false)) }
        #expect(problems.map(\.line) == Array(1...20))
    }
}
