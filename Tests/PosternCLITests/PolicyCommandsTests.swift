import Testing

@testable import PosternCLI

/// The commands on policies in files: what scripts that were written for the reference see of them.
@Suite struct PolicyCommandsTests {
    private let recorder = Recorder()

    private func policy(_ arguments: String...) async -> Int32 { await recorder.postern(["policy"] + arguments) }

    @Test(arguments: [
        ("view", "open", 0, "\nALLOW\n\nnote: this decision was due to the following policies:\n  staff-view\n\n"),
        ("view", "shut", 2, "\nDENY\n\nnote: this decision was due to the following policies:\n  no-secrets\n\n"),
        ("edit", "open", 2, "\nDENY\n\nnote: no policies applied to this request\n"),
    ])
    func `a decision is printed and told by the exit code`(
        action: String, document: String, code: Int32, output: String
    ) async throws {
        let folder = try PolicyFolder()
        let found = await policy(
            "authorize", "-p", folder("p.cedar"), "--entities", folder("e.json"), "-s", folder("s.cedarschema"),
            "-l", "User::\"ann\"", "-a", "Action::\"\(action)\"", "-r", "Doc::\"\(document)\"",
            "-c", folder("c.json"), "-v")
        #expect(found == code)
        #expect(recorder.output == output)
        #expect(recorder.errors.isEmpty)
    }

    @Test func `a whole request can lie in a file, and a policy that fails is named`() async throws {
        let folder = try PolicyFolder([
            "r.json":
                #"{"principal": "User::\"ann\"", "action": "Action::\"view\"", "resource": "Doc::\"x\"", "context": {"level": 1}}"#
        ])
        let code = await policy(
            "authorize", "-p", folder("p.cedar"), "--entities", folder("e.json"), "--request-json", folder("r.json"))
        #expect(code == 0)
        #expect(
            recorder.output
                == "\nALLOW\n\nerror while evaluating policy `no-secrets`: 4:45: there is no entity `Doc::\"x\"`\n")
    }

    @Test func `a decision in JSON has its reasons`() async throws {
        let folder = try PolicyFolder()
        let code = await policy(
            "authorize", "-p", folder("p.cedar"), "--entities", folder("e.json"), "-c", folder("c.json"), "--json",
            "-l", "User::\"ann\"", "-a", "Action::\"view\"", "-r", "Doc::\"open\"")
        #expect(code == 0)
        #expect(recorder.output.contains(#""decision": "allow""#) && recorder.output.contains(#""staff-view""#))
    }

    @Test(arguments: [
        (["-l", "User::\"ann"], "--principal:1:7: this string has no closing quote"),
        (["-l", "Doc::\"open\""], "does not fit the schema"),
        (["-c", "/nowhere/c.json"], "cannot read the context from `/nowhere/c.json`: no such file or directory"),
    ])
    func `a request that cannot be asked is an error in a sentence`(wrong: [String], message: String) async throws {
        let folder = try PolicyFolder()
        var arguments = [
            "policy", "authorize", "-p", folder("p.cedar"), "--entities", folder("e.json"), "-s",
            folder("s.cedarschema"), "-a", "Action::\"view\"", "-r", "Doc::\"open\"",
        ]
        if wrong[0] != "-l" { arguments += ["-l", "User::\"ann\""] }
        if wrong[0] != "-c" { arguments += ["-c", folder("c.json")] }
        #expect(await recorder.postern(arguments + wrong) == 1)
        #expect(recorder.errors.contains(message), "\(recorder.errors)")
        #expect(recorder.output.isEmpty)
    }

    @Test func `a request that does not fit is asked all the same where nobody minds`() async throws {
        let folder = try PolicyFolder()
        let code = await policy(
            "authorize", "-p", folder("p.cedar"), "--entities", folder("e.json"), "-s", folder("s.cedarschema"),
            "-l", "Doc::\"open\"", "-a", "Action::\"view\"", "-r", "Doc::\"open\"", "-c", folder("c.json"),
            "--request-validation", "false")
        #expect(code == 2 && recorder.output == "\nDENY\n")
    }

    @Test(arguments: [
        ("1 + 2 * 3", 0, "\n7\n"), (#"{b: 1, "a b": [2]}"#, 0, "\n{\"a b\": [2], \"b\": 1}\n"),
        ("principal in Group::\"staff\"", 0, "\ntrue\n"),
        ("1 + true", 1, "expression:1:1: cannot evaluate: expected long, found bool"),
        ("1 +", 1, "expression:1:4: expected an expression, found the end of the text"),
        ("resource == principal", 1, "the expression asks for `resource`: say it with --resource"),
    ])
    func `an expression is evaluated`(expression: String, code: Int32, text: String) async throws {
        let folder = try PolicyFolder()
        let found = await policy("evaluate", expression, "--entities", folder("e.json"), "-l", "User::\"ann\"")
        #expect(found == code)
        #expect(code == 0 ? recorder.output == text : recorder.errors.contains(text), "\(recorder.errors)")
    }

    @Test(arguments: [
        ("p.cedar", [], 0, "  ☞ policy set validation passed\n  ╰─▶ no errors or warnings\n"),
        (
            "p.cedar", ["-f", "plain"], 0,
            "policy set validation passed\n    Diagnostic severity: advice\n    Caused by: no errors or warnings\n"
        ),
        (
            "p.cedar", ["-f", "json"], 0,
            #"{"message": "policy set validation passed","severity": "advice","causes": ["no errors or warnings"],"labels": [],"related": []}"#
                + "\n"
        ),
        ("invalid.cedar", [], 3, "invalid.cedar:1:45: policy `policy0`: User has no attribute `nothing`"),
        ("never.cedar", [], 3, "policy `policy0`: no action of this scope applies to such a principal and resource"),
        ("p.cedar", ["--level", "0"], 3, "policy `no-secrets`"),
    ])
    func `policies are checked against a schema`(
        file: String, more: [String], code: Int32, text: String
    ) async throws {
        let folder = try PolicyFolder()
        let found = await recorder.postern(
            ["policy", "validate", "-p", folder(file), "-s", folder("s.cedarschema")] + more)
        #expect(found == code)
        #expect(code == 0 ? recorder.output == text : recorder.output.contains(text), "\(recorder.output)")
    }

    @Test func `a warning fails only where warnings are denied`() async throws {
        let folder = try PolicyFolder([
            "odd.cedar": "permit (principal, action, resource) when { 1 == 2 };"
        ])
        let arguments = ["policy", "validate", "-p", folder("odd.cedar"), "-s", folder("s.cedarschema")]
        #expect(await recorder.postern(arguments) == 0)
        #expect(await recorder.postern(arguments + ["--deny-warnings"]) == 3)
        #expect(recorder.output.contains("warning: policy `policy0`: applies to no request that the schema allows"))
    }

    @Test(arguments: [
        (["-p", "p.cedar"], 0, ""), (["--expression", "1 +"], 1, "expression:1:4"),
        (["-p", "wrong.cedar", "-s", "p.cedar", "--entities", "c.json"], 1, "wrong.cedar:2:19: expected `,`"),
        (["-p", "wrong.cedar", "-s", "p.cedar", "--entities", "c.json"], 1, "p.cedar:2:1: "),
        (["-p", "wrong.cedar", "-s", "p.cedar", "--entities", "c.json"], 1, "the entities must be a JSON array"),
        (["-s", "s.cedarschema", "--entities", "e.json"], 0, ""),
    ])
    func `what can be read is told from what cannot`(arguments: [String], code: Int32, text: String) async throws {
        let folder = try PolicyFolder()
        let named = arguments.map { $0.contains(".") ? folder($0) : $0 }
        #expect(await recorder.postern(["policy", "check-parse"] + named) == code)
        #expect(text.isEmpty ? recorder.errors.isEmpty : recorder.errors.contains(text), "\(recorder.errors)")
        #expect(recorder.output.isEmpty)
    }

    @Test func `policies are laid out once`() async throws {
        let folder = try PolicyFolder()
        #expect(await policy("format", "-p", folder("p.cedar"), "--check") == 1)
        #expect(await policy("format", "-p", folder("p.cedar"), "--write") == 0)
        #expect(await policy("format", "-p", folder("p.cedar"), "--check") == 0)
        #expect(
            try folder.read("p.cedar").hasPrefix("@id(\"staff-view\")\npermit (\n  principal in Group::\"staff\",\n"))
        #expect(await policy("format", "--write") == 1)
    }

    @Test func `policies come back from JSON as they were`() async throws {
        let folder = try PolicyFolder()
        #expect(await policy("translate-policy", "--direction", "cedar-to-json", "-p", folder("p.cedar")) == 0)
        try folder.write(recorder.output, to: "p.json")
        let back = Recorder()
        let code = await back.postern([
            "policy", "translate-policy", "--direction", "json-to-cedar", "-p", folder("p.json"),
        ])
        #expect(code == 0)
        try folder.write(back.output, to: "back.cedar")
        let again = Recorder()
        _ = await again.postern([
            "policy", "translate-policy", "--direction", "cedar-to-json", "-p", folder("back.cedar"),
        ])
        #expect(again.output == recorder.output && !again.output.isEmpty)
    }

    @Test func `a single policy in JSON is read as well as a set`() async throws {
        let folder = try PolicyFolder([
            "one.json": """
            {"effect": "permit", "principal": {"op": "All"}, "action": {"op": "All"}, "resource": {"op": "All"},
             "conditions": []}
            """
        ])
        let code = await policy(
            "authorize", "--policy-format", "json", "-p", folder("one.json"), "--entities", folder("e.json"), "-v",
            "-l", "User::\"ann\"", "-a", "Action::\"view\"", "-r", "Doc::\"open\"")
        #expect(code == 0 && recorder.output.contains("  JSON policy\n"))
    }

    @Test func `a schema is turned both ways, and its names can be told apart`() async throws {
        let folder = try PolicyFolder([
            "n.cedarschema": """
            type Level = Long;
            namespace N { entity A in [A] { level: Level, of?: Set<A> }; action a appliesTo { principal: A, resource: A }; }
            """
        ])
        #expect(
            await policy(
                "translate-schema", "--direction", "cedar-to-json-with-resolved-types", "-s", folder("n.cedarschema"))
                == 0)
        let json = recorder.output.filter { !$0.isWhitespace }
        #expect(json.contains(#""element":{"name":"N::A","type":"Entity"}"#), "\(json)")
        #expect(json.contains(#""level":{"type":"Level"}"#) && json.contains(#""memberOfTypes":["N::A"]"#))
        try folder.write(recorder.output, to: "n.json")
        let back = Recorder()
        let code = await back.postern([
            "policy", "translate-schema", "--direction", "json-to-cedar", "-s", folder("n.json"),
        ])
        #expect(code == 0)
        #expect(back.output.contains("namespace N {"))
    }

    @Test func `names that nobody declares cannot be told apart`() async throws {
        let folder = try PolicyFolder(["u.cedarschema": "entity A { b: B };"])
        #expect(
            await policy(
                "translate-schema", "--direction", "cedar-to-json-with-resolved-types", "-s", folder("u.cedarschema"))
                == 1)
        #expect(recorder.errors.contains("the schema names types that nobody declares: `B`"))
    }

    @Test func `a template is linked, and its links are kept`() async throws {
        let folder = try PolicyFolder()
        let link = [
            "policy", "link", "-p", folder("t.cedar"), "-k", folder("l.json"), "--template-id", "t",
            "--arguments", #"{"?principal": "User::\"ann\""}"#, "--new-id",
        ]
        #expect(await recorder.postern(link + ["one"]) == 0)
        #expect(
            recorder.output
                == "Template-linked policy added: Template Instance of t, slots: [?principal -> User::\"ann\"]\n")
        #expect(
            try folder.read("l.json")
                == #"[{"args":{"?principal":"User::\"ann\""},"link_id":"one","template_id":"t"}]"#)
        #expect(await recorder.postern(link + ["one"]) == 1)
        #expect(recorder.errors.contains("two policies have the id \"one\""))
        #expect(await recorder.postern(link + ["two"]) == 0)
        let authorize = Recorder()
        let code = await authorize.postern([
            "policy", "authorize", "-p", folder("t.cedar"), "-k", folder("l.json"), "--entities", folder("e.json"),
            "-v",
            "-l", "User::\"ann\"", "-a", "Action::\"view\"", "-r", "Doc::\"open\"",
        ])
        #expect(code == 0 && authorize.output.contains("  one\n  two\n"))
    }

    @Test(arguments: [
        (["--principal-eid", "ann"], 4, "\nUNKNOWN\nAll policy residuals:\n@id(\"staff-view\")\npermit"),
        (["--principal-eid", "ann", "--resource-eid", "shut"], 2, "\nDENY\n"),
        (["-l", "User::\"ann\"", "-r", "Doc::\"open\"", "-c", "c.json"], 0, "\nALLOW\n"),
        (["--principal-eid", "ben"], 2, "\nDENY\n"),
    ])
    func `what is not known yet is left to ask`(arguments: [String], code: Int32, text: String) async throws {
        let folder = try PolicyFolder([
            "all.json": """
            [{"uid": {"type": "User", "id": "ann"}, "attrs": {}, "parents": [{"type": "Group", "id": "staff"}]},
             {"uid": {"type": "User", "id": "ben"}, "attrs": {}, "parents": []},
             {"uid": {"type": "Doc", "id": "open"}, "attrs": {"secret": false}, "parents": []},
             {"uid": {"type": "Doc", "id": "shut"}, "attrs": {"secret": true}, "parents": []}]
            """
        ])
        let found = await recorder.postern(
            ["policy", "partial", "-p", folder("p.cedar"), "-s", folder("s.cedarschema"), "--entities"]
                + [folder("all.json"), "-a", "Action::\"view\""] + arguments.map { $0 == "c.json" ? folder($0) : $0 })
        #expect(found == code, "\(recorder.errors)")
        #expect(recorder.output.hasPrefix(text), "\(recorder.output)")
    }
}
