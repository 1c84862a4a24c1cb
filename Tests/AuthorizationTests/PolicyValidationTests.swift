import Authorization
import Mesh
import Testing

/// What is refused when policies are written, because they could fail or never apply.
@Suite struct PolicyValidationTests {
    private func refusal(_ text: String) throws -> String? {
        do {
            try Demo.snapshot(text).check()
            return nil
        } catch { return error.description }
    }

    @Test(arguments: [
        ("1 == 2", "1:1: policy `x`: can never match: its conditions hold for no agent, service and time"),
        ("principal is User", "1:1: policy `x`: can never match: its conditions hold for no agent, service and time"),
        ("resource.protocol == 1", "both sides of `==` have types that do not go together"),
        ("resource.protocol", "expected Bool, found String"),
        ("context.now > 5", "1:"), ("principal in [Group::\"research\", Agent::\"crew\"]", "the members of a set"),
    ])
    func `a condition that could fail, or never holds, is refused`(condition: String, message: String) throws {
        let scope = "principal, action == Action::\"connect\", resource"
        let refusal = try refusal("@id(\"x\") forbid (\(scope)) when { \(condition) };")
        #expect(refusal?.contains(message) == true, "\(refusal ?? "taken")")
    }

    @Test(arguments: [
        ("@mask(\"null\") permit", "`@mask` may only soften a `forbid`"),
        ("@rate(\"9/m\") permit", "`@rate` may only soften a `forbid`"),
        ("@observe permit", "`@observe` may only soften a `forbid`"),
        ("@observe forbid", "nothing here does what `@observe` says"),
        ("@allow forbid", "there is no annotation `@allow` here, only `@id`"),
    ])
    func `an annotation never loosens a policy`(effect: String, message: String) throws {
        let refusal = try refusal("\(effect) (principal, action, resource);")
        #expect(refusal?.contains(message) == true, "\(refusal ?? "taken")")
    }

    @Test func `what can apply and cannot fail is taken`() throws {
        let refusal = try refusal(
            """
            permit (principal in Group::"research", action, resource in Tag::"prod") when { !principal.disabled };
            forbid (principal, action == Action::"connect", resource is Service)
            unless { resource.node == Node::"node-b" && context.now.toTime() < duration("17h") };
            """)
        #expect(refusal == nil)
    }
}
