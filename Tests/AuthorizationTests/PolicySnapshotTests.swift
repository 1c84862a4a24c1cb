import Authorization
import Mesh
import Testing

@Suite struct PolicySnapshotTests {
    @Test func `a mistake names its document, line, column and cause`() {
        let text = "permit (principal, action, resource);\npermit (principal, action, resource) when true;"
        let error = #expect(throws: AuthorizationError.self) { try Demo.snapshot(text) }
        #expect(error?.description == "demo.cedar:2:43: expected `{`, found `true`")
        #expect(
            error?.rendering == """
                demo.cedar:2:43: expected `{`, found `true`
                  |
                2 | permit (principal, action, resource) when true;
                  |                                           ^^^^
                """)
    }

    @Test func `mistakes of all documents are named`() {
        let documents = ["b.cedar", "a.cedar"].map { PolicyDocument(name: PolicyName(unchecked: $0), text: "deny;") }
        let error = #expect(throws: AuthorizationError.self) { try Demo.snapshot(documents) }
        #expect(
            error?.description == """
                a.cedar:1:1: expected `permit` or `forbid`, found `deny`
                b.cedar:1:1: expected `permit` or `forbid`, found `deny`
                """)
    }

    @Test(arguments: ["\\u{1b}[2J", "é", "a`b", String(repeating: "x", count: 129)])
    func `an id that no terminal should see is refused`(id: String) {
        let error = #expect(throws: AuthorizationError.self) {
            try Demo.snapshot("@id(\"\(id)\") permit (principal, action, resource);")
        }
        #expect(
            error?.description
                == "demo.cedar:1:1: the `@id` of a policy is at most 128 printable ASCII characters without a backtick")
    }

    @Test func `a document that comes twice is refused`() {
        let document = PolicyDocument(
            name: PolicyName(unchecked: "a.cedar"), text: "permit (principal, action, resource);")
        let error = #expect(throws: AuthorizationError.self) { try Demo.snapshot([document, document]) }
        #expect(
            error?.description
                == "cannot decide with these policies, agents and services: two policies have the id \"a.cedar:policy0\""
        )
    }

    @Test func `an agent that comes twice is refused`() {
        let twice = [Demo.agent("one"), Demo.agent("one", disabled: true)]
        let error = #expect(throws: AuthorizationError.self) { try Demo.snapshot("", agents: twice) }
        #expect(
            error?.description
                == "cannot decide with these policies, agents and services: the entity `Agent::\"one\"` is defined twice"
        )
    }

    @Test func `too many policies over all documents are refused`() {
        let text = String(repeating: "permit (principal, action, resource);", count: 6000)
        let documents = ["a", "b"].map { PolicyDocument(name: PolicyName(unchecked: $0), text: text) }
        let error = #expect(throws: AuthorizationError.self) { try Demo.snapshot(documents) }
        #expect(
            error?.description
                == "cannot decide with these policies, agents and services: more than 10000 policies in one set")
    }
}
