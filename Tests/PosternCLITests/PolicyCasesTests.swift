import Testing

@testable import PosternCLI

/// `postern policy test` and `postern policy diff`.
@Suite struct PolicyCasesTests {
    private let recorder = Recorder()

    private static let cases = #"""
        [{"name": "one", "request": {"principal": "User::\"ann\"", "action": "Action::\"view\"", "resource": "Doc::\"open\"",
          "context": {"level": 1}}, "decision": "allow", "reason": ["staff-view"], "num_errors": 0},
         {"name": "two", "request": {"principal": "User::\"ann\"", "action": "Action::\"view\"", "resource": "Doc::\"shut\"",
          "context": {"level": 1}}, "decision": "DECISION", "reason": ["REASON"], "entities": "e.json"}]
        """#

    private func test(decision: String, reason: String, _ more: String...) async throws -> Int32 {
        let cases = Self.cases.replacing("DECISION", with: decision).replacing("REASON", with: reason)
        let folder = try PolicyFolder(["cases.json": cases])
        return await recorder.postern(
            ["policy", "test", "-p", folder("p.cedar"), "--tests", folder("cases.json"), "-s", folder("s.cedarschema")]
                + ["--entities", folder("e.json")] + more)
    }

    @Test func `cases that hold pass, and what they leave out is named`() async throws {
        #expect(try await test(decision: "deny", reason: "no-secrets") == 0)
        #expect(
            recorder.output == """
                running 2 test(s)
                  test one ... ok
                  test two ... ok
                results: 2 passed, 0 failed
                coverage: 71 %, 5 of 7 outcomes of 4 clauses were seen
                  policy `staff-view` (1:1): its scope was never seen not to hold
                  policy `staff-view` (2:81): `context.level < 3` was never seen not to hold

                """)
    }

    @Test(arguments: [
        ("allow", "staff-view", "test two ... fail: expected allow, got deny by `no-secrets`"),
        ("deny", "staff-view", "test two ... fail: missing reason(s): `staff-view`"),
    ])
    func `a case that does not hold fails`(decision: String, reason: String, message: String) async throws {
        #expect(try await test(decision: decision, reason: reason) == 1)
        #expect(recorder.output.contains(message) && recorder.output.contains("results: 1 passed, 1 failed"))
    }

    @Test func `too little coverage fails where it is asked for`() async throws {
        #expect(try await test(decision: "deny", reason: "no-secrets", "--min-coverage", "72") == 1)
        #expect(try await test(decision: "deny", reason: "no-secrets", "--min-coverage", "71") == 0)
    }

    @Test(arguments: [
        (#"[{"request": {}, "decision": "perhaps"}]"#, "the `decision` of case 1 is `allow` or `deny`"),
        ("[{]", "cases.json: no JSON at 1:3"), ("{}", "the cases must be a JSON array"),
    ])
    func `cases that cannot be read are an error`(text: String, message: String) async throws {
        let folder = try PolicyFolder(["cases.json": text])
        let code = await recorder.postern(["policy", "test", "-p", folder("p.cedar"), "--tests", folder("cases.json")])
        #expect(code == 1 && recorder.errors.contains(message), "\(recorder.errors)")
    }

    @Test func `a case reads no entities but those beside it`() async throws {
        let folder = try PolicyFolder([
            "cases.json": #"""
            [{"request": {"principal": "A::\"a\"", "action": "Action::\"b\"", "resource": "A::\"c\""},
              "entities": "../../etc/passwd", "decision": "deny"}]
            """#
        ])
        let code = await recorder.postern(["policy", "test", "-p", folder("p.cedar"), "--tests", folder("cases.json")])
        #expect(code == 1 && recorder.output.contains("do not lie beside the cases"))
    }

    @Test(arguments: [
        ("context.level < 3", "context.level < 4", "deny -> allow by `staff-view`", "level: 3"),
        ("context.level < 3", "context.level < 2", "allow by `staff-view` -> deny", "level: 2"),
        ("in Group::\"staff\"", "== User::\"ben\"", "allow by `staff-view` -> deny", "User::\"ann\""),
        ("resource.secret", "false", "deny by `no-secrets` -> allow by `staff-view`", "Doc::\"shut\""),
    ])
    func `a change is shown by a request`(old: String, new: String, change: String, detail: String) async throws {
        let folder = try PolicyFolder()
        try folder.write(folder.read("p.cedar").replacing(old, with: new), to: "new.cedar")
        let arguments = [
            "policy", "diff", folder("p.cedar"), folder("new.cedar"), "-s", folder("s.cedarschema"), "--entities",
            folder("e.json"),
        ]
        #expect(await recorder.postern(arguments) == 0)
        #expect(recorder.output.contains(change) && recorder.output.contains(detail), "\(recorder.output)")
        #expect(await recorder.postern(arguments + ["--fail-on-change"]) == 3)
    }

    @Test func `another order, other names and comments change nothing`() async throws {
        let folder = try PolicyFolder([
            "new.cedar": """
            // the other way round
            @id("other") forbid (principal, action, resource) when { resource.secret };
            permit (principal in Group::"staff", action == Action::"view", resource) when { context.level < 3 };
            """
        ])
        let code = await recorder.postern([
            "policy", "diff", folder("p.cedar"), folder("new.cedar"), "-s", folder("s.cedarschema"), "--entities",
            folder("e.json"), "--fail-on-change",
        ])
        #expect(code == 0)
        #expect(recorder.output == "no request was found whose decision changes, of 0 that were asked\n")
    }
}
