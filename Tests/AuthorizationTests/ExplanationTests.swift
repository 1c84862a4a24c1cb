import Authorization
import Mesh
import Testing

@Suite struct ExplanationTests {
    private static let text = """
        @id("one-to-ledger") permit (principal == Agent::"one", action == Action::"connect", resource == Service::"ledger");
        @id("research") permit (principal in Group::"research", action == Action::"connect", resource in Tag::"staging");
        @id("read") permit (principal == Agent::"two", action in Action::"read", resource);
        @id("no-prod") forbid (principal == Agent::"crew", action, resource in Tag::"prod");
        """

    @Test func `an allow names its policy and place`() throws {
        #expect(
            try Demo.snapshot(Self.text).explain("one", "ledger") == """
                allowed: agent `one` may connect to service `ledger`
                  by policy `one-to-ledger` (demo.cedar:1:1)
                """)
    }

    @Test func `a deny without a policy shows the nearest permits and the missing one`() throws {
        #expect(
            try Demo.snapshot(Self.text).explain("two", "ledger") == """
                denied: agent `two` may not connect to service `ledger`: no policy permits it
                  nearest: policy `one-to-ledger` (demo.cedar:1:1) permits connect to Service::"ledger" for Agent::"one"
                  nearest: policy `read` (demo.cedar:3:1) permits read to any service for Agent::"two"
                  to allow it, add: permit (principal == Agent::"two", action == Action::"connect", resource == Service::"ledger");
                """)
    }

    @Test func `the permit that is advised is what was missing`() throws {
        let advice = try #require(try Demo.snapshot(Self.text).explain("two", "ledger").split(separator: "add: ").last)
        try Demo.snapshot(String(advice)).check()
        let snapshot = try Demo.snapshot(Self.text + "\n" + advice)
        #expect(snapshot.reason("two", "ledger") == .permitted([PolicyReference("policy4", line: 5)]))
    }

    @Test func `a forbid is named`() throws {
        #expect(
            try Demo.snapshot(Self.text).explain("crew", "ledger") == """
                denied: agent `crew` may not connect to service `ledger`: a policy forbids it
                  by policy `no-prod` (demo.cedar:4:1)
                """)
    }

    @Test(arguments: [
        ("gone", "denied: agent `gone` may not connect to service `wiki`: it is disabled"),
        (
            "gone/below",
            "denied: agent `gone/below` may not connect to service `wiki`: agent `gone` above it is disabled"
        ),
        ("nobody", "denied: agent `nobody` may not connect to service `wiki`: there is no agent of that name"),
    ])
    func `a deny that no policy made says what did`(agent: String, text: String) throws {
        #expect(try Demo.snapshot(Self.text).explain(agent, "wiki") == text)
    }
}
