import Testing

@testable import Cedar

@Suite struct FuzzTests {
    private static let words = [
        "permit", "forbid", "principal", "action", "resource", "(", ")", ",", ";", "==", "in", "is", "[", "]", "@",
        "id",
        "Agent", "::", "Action", "\"a\"", "\"", "\\", "\\u{", "//", "\n", "\r", "?principal", "when", "{", "}", "\0",
        "é",
        "\u{202E}", "😀", " ", "7", "!", "&", "&&", "|", "||", "when {", "unless", "if", "then", "else", "has", "like",
        "context", ".", "now", "toTime()", "duration(\"9h\")", "<", ">=", "+", "-", "*", "true", "{a: 1}",
        "9223372036854775808",
        "\"\\*\"", "@id(\"x\")", "permit(principal,action,resource);",
    ]

    private static func survives(_ text: String) {
        do throws(ParseError) {
            for policy in try PolicySet(parsing: text).policies {
                _ = policy.description
                _ = policy.conditions.map { $0.body == $0.body }
            }
        } catch {
            #expect(!error.diagnostics.isEmpty)
            #expect(!error.rendering.isEmpty)
            for diagnostic in error.diagnostics { #expect(diagnostic.range.start.offset <= text.utf8.count) }
        }
    }

    @Test(arguments: 0..<40)
    func `the parser survives any bytes`(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        for _ in 0..<50 {
            let bytes = (0..<Int.random(in: 0...200, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            Self.survives(String(decoding: bytes, as: UTF8.self))
        }
    }

    @Test(arguments: 0..<40)
    func `the parser survives any words`(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        for _ in 0..<100 {
            let words = (0..<Int.random(in: 0...30, using: &random)).map { _ in
                Self.words.randomElement(using: &random)!
            }
            Self.survives(words.joined(separator: Bool.random(using: &random) ? " " : ""))
        }
    }

    @Test(arguments: 0..<40)
    func `the parser survives damaged policies`(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        var world = World(seed: UInt64(seed))
        for number in 0..<100 {
            var bytes = Array("@id(\"é\")\n\(world.policy(number))".utf8)
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                if Bool.random(using: &random) {
                    bytes[place] = UInt8.random(in: 0...255, using: &random)
                } else {
                    bytes.remove(at: place)
                }
            }
            Self.survives(String(decoding: bytes, as: UTF8.self))
        }
    }

    @Test(arguments: ["(", "[", "@", "::", "a::", "\"", "\\", "@a ", "permit(", "//", "é", "<", "{"])
    func `endless repetition is survived`(unit: String) {
        Self.survives(String(repeating: unit, count: 20_000))
    }

    @Test(arguments: [
        ("(", ")"), ("[", "]"), ("{a:", "}"), ("!(", ")"), ("-(", ")"), ("if ", " then 1 else 1"), ("1 + ", "1"),
        ("true && ", "true"), ("true || ", "true"), ("2 * ", "2"), ("context.a", ""), ("context[\"a\"]", ""), ("!", ""),
        ("ip(", ")"), ("context.contains(", ")"), ("context has ", "a"), ("a::", "b"), ("if 1 then 1 else ", "1"),
    ])
    func `a condition nested without end is survived`(opening: String, closing: String) {
        for depth in [50, 99, 101, 401, 3000] {
            let nested = String(repeating: opening, count: depth) + "1" + String(repeating: closing, count: depth)
            Self.survives("permit(principal,action,resource) when { \(nested) };")
            let chain = "context" + String(repeating: opening, count: depth)
            Self.survives("permit(principal,action,resource) when { \(chain) };")
        }
    }

    @Test func `a scope as long as the limit is survived`() {
        let path = String(repeating: "a::", count: 300_000)
        Self.survives("permit(principal == \(path)\"x\",action,resource);")
        let actions = String(repeating: "Action::\"a\",", count: 70_000)
        Self.survives("permit(principal,action in [\(actions) Action::\"a\"],resource);")
    }
}
