import Testing

@testable import Cedar

@Suite struct FormatterTests {
    /// What the reference makes of each.
    @Test(arguments: [
        ("permit(principal,action,resource);", "permit (principal, action, resource);\n"),
        ("permit(principal,action,resource // last\n);", "permit (principal, action, resource // last\n);\n"),
        (
            "permit(principal == (U::\"a\"),action in ([(Action::\"v\")]),resource) when { [01] == [-007] };",
            """
            permit (
              principal == (U::"a"),
              action in ([(Action::"v")]),
              resource
            )
            when { [1] == [-7] };

            """
        ),
        // A comment behind a record breaks no line within it.
        (
            """
            forbid(principal is G, action == Action::"v", resource is U in G::"b") when { {"d e": true} // c0
            ["d e"] };
            """,
            """
            forbid (
              principal is G,
              action == Action::"v",
              resource is U in G::"b"
            )
            when
            {
              { "d e": true } // c0
              ["d e"]
            };

            """
        ),
        // A line is as long as it looks: wide letters count twice, marks upon letters not at all.
        (
            #"permit(principal,action,resource) when { "９９９９９９９９９９９９９９９９９" == "x" && principal.nn == 1 && true };"#,
            """
            permit (principal, action, resource)
            when
            { "９９９９９９９９９９９９９９９９９" == "x" && principal.nn == 1 && true };

            """
        ),
        (
            "permit(principal,action,resource) when { \"\(String(repeating: "e\u{301}", count: 19))\" == \"x\" && principal.nn == 1 && true };",
            """
            permit (principal, action, resource)
            when { "\(String(repeating: "e\u{301}", count: 19))" == "x" && principal.nn == 1 && true };

            """
        ),
        (
            """
            // lead
            @id("x") // anno
            @note permit(principal is A in B::"b", action in [Action::"a", Action::"b",], resource,) // after
            when { principal.a["b c"] == 1 && {a: 1, "b c" : [1,2,3,]} == {} && context has a.b.c } // w
            unless { principal like "a*b" };
            // end
            forbid(principal, action, resource); // t
            // eof1

            // eof2
            """,
            """
            // lead
            @id("x") // anno
            @note
            permit (
              principal is A in B::"b",
              action in [Action::"a", Action::"b"],
              resource
            ) // after
            when
            {
              principal.a["b c"] == 1 &&
              { a: 1, "b c": [1, 2, 3] } == {} &&
              context has a.b.c
            } // w
            unless { principal like "a*b" };

            // end
            forbid (principal, action, resource); // t
            // eof1
            // eof2

            """
        ),
        (
            "permit(principal is A, action, resource is  B::C) when { if principal.b then // x\n 1 else // y\n 2 };",
            """
            permit (
              principal is A,
              action,
              resource is B::C
            )
            when
            {
              if
                principal.b
              then // x
                1
              else // y
                2
            };

            """
        ),
        (
            #"permit(principal == A::"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", action in [Action::"aaaaaaaaaaaaaaaaaaaaaaaaaaa",Action::"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",Action::"c"], resource);"#,
            #"""
            permit (
              principal ==
                A::"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
              action in
                [Action::"aaaaaaaaaaaaaaaaaaaaaaaaaaa",
                 Action::"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
                 Action::"c"],
              resource
            );

            """#
        ),
        (
            #"permit(principal, action, resource) when { principal.aaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.ccccccccccccccccccccccc.lessThan(decimal("1.0")) && principal.aaaaaaaaaaaaaaaaaaaaaaa has ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc && {aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: 1, bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb: "fffffffffffffffffffffffffffffff"} == {}};"#,
            #"""
            permit (principal, action, resource)
            when
            {
              principal.aaaaaaaaaaaaaaaaaaaaaaaaaaaaa
                .bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
                .ccccccccccccccccccccccc
                .lessThan
                (
                  decimal("1.0")
                ) &&
              principal.aaaaaaaaaaaaaaaaaaaaaaa
              has
              ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc &&
              {
                aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: 1,
                bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb: "fffffffffffffffffffffffffffffff"
              } == {}
            };

            """#
        ),
        (
            #"permit(principal, action, resource) when { (1 + 2 * 3 - 4) > --principal.x && !(!!true) || ( true && ( principal in resource || principal is User in Group::"x" ) ) };"#,
            #"""
            permit (principal, action, resource)
            when
            {
              (1 + 2 * 3 - 4) > --principal.x &&
              !(!!true) ||
              (true && (principal in resource || principal is User in Group::"x"))
            };

            """#
        ),
        (
            #"@a("b")@c("d")permit(principal,action,resource)when{true}when{false};"#,
            """
            @a("b")
            @c("d")
            permit (principal, action, resource)
            when { true }
            when { false };

            """
        ),
        (
            "permit(principal == ?principal, action, resource in ?resource);",
            """
            permit (
              principal == ?principal,
              action,
              resource in ?resource
            );

            """
        ),
        ("// only\n\n// comments", "\n// only\n// comments\n"),
    ])
    func `policies are laid out as the reference does`(text: String, expected: String) throws {
        let formatted = try PolicyFormatter().format(text)
        #expect(formatted == expected)
        if !expected.hasPrefix("\n") { #expect(try PolicyFormatter().format(formatted) == formatted) }
    }

    @Test func `every comment is kept`() throws {
        let words =
            #"@ a ( "b" ) permit ( principal in A :: "x" , action in [ Action :: "a" , Action :: "b" ] , resource ) when { if principal . a == [ 1 , 2 ] then { a : - 1 } . a == 2 else ip ( "1.1.1.1" ) . isIpv4 ( ) } ;"#
        let parts = words.split(separator: " ")
        let text = parts.enumerated().map { "// above \($0.offset)\n\($0.element) // behind \($0.offset)\n" }.joined()
        let formatted = try PolicyFormatter().format(text)
        for number in parts.indices {
            #expect(formatted.contains("// above \(number)\n"), "above \(parts[number])")
            #expect(formatted.contains("// behind \(number)\n"), "behind \(parts[number])")
        }
    }

    @Test(arguments: 0..<50)
    func `what is laid out stays as it is`(seed: Int) throws {
        var random = RandomExpression(seed: UInt64(seed))
        for _ in 0..<10 {
            let text = "permit(principal, action, resource) when { \(random.expression(depth: 5)) };"
            let formatted = try PolicyFormatter(lineWidth: 40, indentWidth: 4).format(text)
            #expect(try PolicyFormatter(lineWidth: 40, indentWidth: 4).format(formatted) == formatted)
        }
    }

    @Test func `what is no policy is refused`() {
        #expect(throws: ParseError.self) { try PolicyFormatter().format("permit(principal);") }
    }
}
