import Testing

@testable import Cedar

@Suite struct ExpressionTests {
    private static func read(_ condition: String) throws -> Expression {
        let text = "permit(principal, action, resource) when { \(condition) };"
        return try #require(PolicySet(parsing: text).policies.first?.conditions.first?.body)
    }

    @Test(arguments: [
        ("true || false && true", "true || (false && true)"), ("true && false && true", "(true && false) && true"),
        ("1 + 2 * 3 == 7", "(1 + (2 * 3)) == 7"), ("1 - 2 - 3", "(1 - 2) - 3"), ("2 * 3 * 4", "(2 * 3) * 4"),
        ("!context.b == action", "(!(context.b)) == action"), ("-1 - -1 < 2", "((-1) - (-1)) < 2"),
        ("context has b.c && true", "(context has b.c) && true"),
        ("principal is T in action || true", "(principal is T in action) || true"),
        ("context.a like \"b\" || true", "((context.a) like \"b\") || true"),
        ("if true then 1 else 2 || 3", "if true then 1 else (2 || 3)"),
        ("context.b[\"c\"].d", "((context.b).c).d"), ("context.contains(1).c", "(context.contains(1)).c"),
        ("[1, 2,]", "[1, 2]"), ("{\"a\": 1,}", "{a: 1}"),
    ])
    func `operators bind as in the language`(text: String, bracketed: String) throws {
        #expect(try Self.read(text) == Self.read(bracketed))
    }

    @Test(arguments: [
        "context.a || context.b && !context.c", "(context.a || context.b) && context.c",
        "context.a - (context.b - context.c) * -2 < 3", "-(5) == -5", "!(!true)", "(if true then 1 else 2) == 1",
        "if context.a then 1 else if context.b then 2 else 3", "(1 < 2) == true", "context.a has b.c",
        "context[\"a b\"].c[\"if\"]", "context has \"a b\"", "principal is n::User in Group::\"x\"",
        "\"a\\\"b\" like \"*\\\"\\*x*\"",
        "[1, [], {a: 1, \"b c\": principal}].contains(ip(\"::1\").isInRange(ip(\"::/0\")))", "(-1).toHours()",
        "-context.a == 1",
        "context.now.toTime() < duration(\"9h\")", "principal.hasTag(\"a\" + context.b)", "(1 in principal) has b",
        "context.set.isEmpty()", "\"\\n\\u{1b}é\" == \"\\0\"",
    ])
    func `the canonical text is stable`(text: String) throws {
        #expect(try Self.read(text).description == text)
    }

    @Test(arguments: 0..<300)
    func `a printed expression reads back the same`(seed: Int) throws {
        var random = RandomExpression(seed: UInt64(seed))
        for _ in 0..<20 {
            let expression = random.expression(depth: 4)
            #expect(try Self.read(expression.description) == expression)
        }
    }

    @Test func `a policy prints its conditions`() throws {
        let text = """
            permit (principal, action, resource)
            when { context.a }
            unless { context.b || true };
            """
        #expect(try PolicySet(parsing: text).policies.first?.description == text)
    }

    @Test(arguments: [
        ("1 == 1 == 1", "1:51: relations do not chain: put one of them in brackets"),
        ("principal has a has b", "1:60: relations do not chain: put one of them in brackets"),
        ("-----1 == 1", "1:48: more than four `-` in a row"), ("!!!!!true", "1:48: more than four `!` in a row"),
        ("!-1 == 1", "1:45: expected an expression, found `-`"),
        ("9223372036854775808 < 0", "1:44: this is no whole number that fits into 64 bits"),
        ("-9223372036854775809 < 0", "1:45: this is no whole number that fits into 64 bits"),
        ("-(9223372036854775808) < 0", "1:46: this is no whole number that fits into 64 bits"),
        ("1a == 1", "1:44: this is no whole number that fits into 64 bits"),
        ("1 = 1", "1:46: `=` is no operator here: to compare, write `==`"),
        ("1 / 1", "1:46: there is no division in this language"),
        ("true & true", "1:49: `&` is no operator here: write `&&`"),
        ("true && if true then true else true", "1:52: `if` needs brackets here"),
        ("principal has if", "1:58: `if` is reserved: write an attribute of that name in quotes"),
        ("principal has a.in", "1:60: `in` is reserved: write an attribute of that name in quotes"),
        ("principal has 1", "1:58: expected the name of an attribute after `has`, found `1`"),
        ("{true: 1} == 1", "1:45: `true` is reserved: write an attribute of that name in quotes"),
        ("{a: 1, \"a\": 2} == 1", "1:51: a second `a` in this record"),
        ("\"a\" like 1", "1:53: expected a pattern in quotes after `like`, found `1`"),
        ("\"\\*\" == \"*\"", "1:44: `\\*` is an escape of patterns, which only `like` takes"),
        ("principal is \"User\"", "1:57: expected an entity type, found a string"),
        ("[1].foo(1)", "1:48: there is no method `foo`"), ("foo(1)", "1:44: there is no function `foo`"),
        ("contains([1], 1)", "1:44: `contains` is a method and no function: write `value.contains(…)`"),
        ("isIpv4(1)", "1:44: `isIpv4` is a method and no function: write `value.isIpv4(…)`"),
        ("1.ip()", "1:46: `ip` is a function and no method: write `ip(…)`"),
        ("[1].contains()", "1:48: this method takes one argument, not 0"),
        ("[1].isEmpty(1)", "1:48: this method takes no argument, not 1"),
        ("context[1]", "1:52: expected an attribute's name in quotes, found `1`"),
        (
            "somebody == 1",
            "1:44: there is no variable `somebody`, only `principal`, `action`, `resource` and `context`"
        ),
        ("?principal == 1", "1:44: a template's slot can stand in a scope only"),
        ("true", nil), ("true } unless { false", nil),
    ])
    func `each mistake in a condition is named where it stands`(condition: String, message: String?) {
        let text = "permit(principal, action, resource) when { \(condition) };"
        #expect(Self.error(text) == message)
    }

    @Test func `a condition that is too deep or too long is refused`() {
        let policy = { (condition: String) in "permit(principal, action, resource) when { \(condition) };" }
        let nested = { (depth: Int) in
            String(repeating: "(", count: depth) + "true" + String(repeating: ")", count: depth)
        }
        #expect(Self.error(policy(nested(99))) == nil)
        #expect(Self.error(policy(nested(100))) == "1:144: this expression is nested deeper than 100")
        let chain = { (length: Int) in Array(repeating: "true", count: length).joined(separator: " && ") }
        #expect(Self.error(policy(chain(400))) == nil)
        #expect(
            Self.error(policy(chain(401)))?.hasSuffix("this condition is too long: write it as several policies")
                == true)
    }

    private static func error(_ text: String) -> String? {
        do throws(ParseError) {
            _ = try PolicySet(parsing: text)
            return nil
        } catch { return error.description }
    }
}
