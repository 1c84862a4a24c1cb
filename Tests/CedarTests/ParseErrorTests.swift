import Testing

@testable import Cedar

@Suite struct ParseErrorTests {
    @Test(arguments: [
        ("permit(principal,action,resource) unless {};", "1:43: expected an expression, found `}`"),
        (
            "permit(principal == ?principal,action,resource);",
            "1:21: template slots are not supported in this version: `?principal`"
        ),
        (
            "permit(principal,action,resource is T in ?resource);",
            "1:42: template slots are not supported in this version: `?resource`"
        ),
        ("permit(principal,action,resource)", "1:34: expected `;` after the policy, found the end of the text"),
        (
            "permit(principal,action,resource)\n\npermit(principal,action,resource);",
            "1:34: expected `;` after the policy, found `permit`"
        ),
        ("allow(principal,action,resource);", "1:1: expected `permit` or `forbid`, found `allow`"),
        (";", "1:1: expected `permit` or `forbid`, found `;`"),
        ("permit(action,principal,resource);", "1:8: expected `principal`, found `action`"),
        ("permit(principal,action);", "1:24: expected `,`, found `)`"),
        ("permit(principal,action,resource,,);", "1:34: expected `)`, found `,`"),
        (
            "permit(principal is T == T::\"x\",action,resource);",
            "1:23: `is` cannot go with `==`: an entity literal already has its type"
        ),
        (
            "permit(principal == T::\"x\" is T,action,resource);",
            "1:28: `is` cannot go with `==`: an entity literal already has its type"
        ),
        (
            "permit(principal in T::\"x\" is T,action,resource);",
            "1:28: `is` comes before `in`: write `principal is T in E`"
        ),
        ("permit(principal is T::\"x\",action,resource);", "1:24: `is` takes an entity type, not an entity"),
        ("permit(principal in [T::\"x\"],action,resource);", "1:21: only `action` can be `in` a list"),
        ("permit(principal,action is Action,resource);", "1:25: `action` cannot be tested with `is`"),
        (
            "permit(principal,action == Agent::\"x\",resource);",
            "1:28: an action is an entity of type `Action`, not `Agent`"
        ),
        (
            "permit(principal,action in [Action::\"x\",,],resource);",
            #"1:41: expected an entity such as `Agent::"name"`, found `,`"#
        ),
        ("permit(principal == Agent,action,resource);", "1:26: expected `::` and the entity's id in quotes, found `,`"),
        ("permit(principal == Agent::,action,resource);", "1:28: expected the entity's id in quotes, found `,`"),
        (
            "permit(principal == \"x\",action,resource);",
            #"1:21: expected an entity such as `Agent::"name"`, found a string"#
        ),
        ("permit(principal is if,action,resource);", "1:21: `if` is reserved and names no entity type"),
        (
            "permit(principal == __cedar::A::\"x\",action,resource);",
            "1:21: `__cedar` is reserved and names no entity type"
        ),
        ("permit(principal == A::\"x", "1:24: this string has no closing quote"),
        ("permit(principal == A::\"\\q\",action,resource);", "1:25: unknown escape sequence in a string"),
        ("permit(principal == A::\"\\", "1:25: unknown escape sequence in a string"),
        ("permit(principal == A::\"\\x80\"", "1:25: `\\x` needs two hexadecimal digits, at most 7F"),
        (
            "permit(principal == A::\"\\u{d800}\"",
            "1:25: `\\u` needs a Unicode scalar in braces, such as `\\u{1F600}`"
        ),
        (
            "permit(principal == A::\"\\u{0000041}\"",
            "1:25: `\\u` needs a Unicode scalar in braces, such as `\\u{1F600}`"
        ),
        ("permit(principal == A::\"a\rb\"", "1:26: unexpected character U+000D"),
        ("\0", "1:1: unexpected character U+0000"),
        ("é", "1:1: unexpected character `é`"),
        ("\u{202E}permit", "1:1: unexpected character U+202E"),
        ("@id(\"é\") #", "1:10: unexpected character `#`"),
        ("@n @n permit(principal,action,resource);", "1:4: a second annotation `@n`"),
        ("@id permit(principal,action,resource);", "1:1: `@id` needs a name that is not empty"),
        ("@id(3) permit(principal,action,resource);", "1:5: expected a string as the annotation's value, found `3`"),
        (
            "@\"id\" permit(principal,action,resource);",
            "1:2: expected the name of an annotation after `@`, found a string"
        ),
    ])
    func `each mistake is named where it stands`(text: String, message: String) {
        #expect(Self.error(text)?.description == message)
    }

    @Test func `two policies of one id are refused at the second`() {
        let text = """
            @id("x") permit(principal, action, resource);
            @id("policy2") permit(principal, action, resource);
            forbid(principal, action, resource);
            @id("x") permit(principal, action, resource);
            """
        #expect(
            Self.error(text)?.description == """
                3:1: the policy id "policy2" is taken by the policy at 2:1
                4:1: the policy id "x" is taken by the policy at 1:1
                """)
    }

    @Test func `the first mistake of each policy is reported`() {
        let text = """
            permit(principal, action);
            permit(principal, action, resource);
            permit(principal, action, resource) when { "a;" == };
            deny(principal, action, resource);
            """
        #expect(
            Self.error(text)?.description == """
                1:25: expected `,`, found `)`
                3:52: expected an expression, found `}`
                4:1: expected `permit` or `forbid`, found `deny`
                """)
    }

    @Test func `no more mistakes are reported than can be read`() {
        #expect(Self.error(String(repeating: ";", count: 1000))?.diagnostics.count == PolicySet.maximumDiagnostics)
    }

    @Test func `a mistake is shown below its line`() {
        let text = "// é\n\tpermit(principal, action == Agent::\"ü\", resource);\n"
        #expect(
            Self.error(text)?.rendering == """
                2:30: an action is an entity of type `Action`, not `Agent`
                  |
                2 |  permit(principal, action == Agent::"ü", resource);
                  |                              ^^^^^^^^^^
                """)
    }

    @Test func `a shown line is short and cannot drive the terminal`() throws {
        let text = "/**/ \u{1B}[2J" + String(repeating: "x", count: 100_000)
        let excerpt = try #require(Self.error("permit\u{B}" + text)?.diagnostics.first?.excerpt)
        #expect(excerpt.text.unicodeScalars.count == 120)
        #expect(!excerpt.text.unicodeScalars.contains("\u{1B}"))
        let far = try #require(
            Self.error("@n(\"" + String(repeating: "y", count: 100_000) + "\") #")?.diagnostics.first?.excerpt)
        #expect(far.indent == 60 && far.width == 1 && far.text.hasSuffix("#"))
    }

    @Test func `a text over the limit is refused unread`() {
        let text = String(repeating: " ", count: PolicySet.maximumTextBytes)
        #expect(Self.error(text) == nil)
        #expect(Self.error(text + " ")?.description == "1:1: the text is longer than 1048576 bytes")
    }

    @Test func `too many policies are refused`() {
        let policy = "permit(principal,action,resource);\n"
        #expect(Self.error(String(repeating: policy, count: 10_000)) == nil)
        #expect(
            Self.error(String(repeating: policy, count: 10_001))?.description
                == "10001:1: more than 10000 policies in one text")
    }

    private static func error(_ text: String) -> ParseError? {
        do throws(ParseError) {
            _ = try PolicySet(parsing: text)
            return nil
        } catch { return error }
    }
}
