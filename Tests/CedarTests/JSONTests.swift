import Testing

@testable import Cedar

@Suite struct JSONTests {
    @Test func `entities are read with attributes, parents and tags`() throws {
        let entities = try Entities(
            parsingJSON: #"""
                [
                    {"uid": {"type": "User", "id": "a\u00e9\ud83d\ude00"}, "parents": [{"__entity": {"type": "Group", "id": "g"}}],
                     "attrs": {"n": -9223372036854775808, "s": "x", "r": {"k": [1, true]},
                               "e": {"__entity": {"type": "User", "id": "b"}},
                               "ip": {"__extn": {"fn": "ip", "arg": "10.0.0.1"}}},
                     "tags": {"t": "v"}},
                    {"uid": {"__entity": {"type": "Group", "id": "g"}}, "attrs": {}, "parents": []}
                ]
                """#)
        let uid = EntityUID(type: "User", id: "aé😀")
        let entity = try #require(entities[uid])
        #expect(
            entity.attributes == [
                "n": .long(.min), "s": .string("x"), "r": .record(["k": .set([.long(1), .bool(true)])]),
                "e": .entity(EntityUID(type: "User", id: "b")), "ip": .ip(try Value.IPAddress("10.0.0.1")),
            ])
        #expect(entity.tags == ["t": .string("v")])
        #expect(entities.contains(uid, in: EntityUID(type: "Group", id: "g")))
    }

    @Test func `a context is read`() throws {
        let context = try Context(
            parsingJSON:
                #"{"now": {"__extn": {"fn": "datetime", "arg": "2024-01-01"}}, "a b": [], "d": {"__extn": {"fn": "offset", "args": [{"__extn": {"fn": "datetime", "arg": "1970-01-01"}}, {"__extn": {"fn": "duration", "arg": "1s"}}]}}}"#
        )
        #expect(
            context.attributes == [
                "now": .datetime(Value.Datetime(milliseconds: 1_704_067_200_000)), "a b": .set([]),
                "d": .datetime(Value.Datetime(milliseconds: 1000)),
            ])
    }

    @Test(arguments: [
        "", "{", "[]", "{\"a\": 1.5}", "{\"a\": 1e3}", "{\"a\": 01}", "{\"a\": 9223372036854775808}", "{\"a\": null}",
        "{\"a\": 1, \"a\": 2}", "{\"a\": 1,}", "{\"a\" 1}", "{a: 1}", "{\"a\": \"\n\"}", "{\"a\": \"\\x\"}",
        "{\"a\": \"\\ud800\"}",
        "{\"a\": \"\\ud800\\u0041\"}", "{\"a\": tru}", "{\"a\": 1} x", "{\"a\": -}",
        "{\"a\": {\"__entity\": {\"type\": \"if\", \"id\": \"a\"}}}",
        "{\"a\": {\"__entity\": {\"type\": \"A\"}}}", "{\"a\": {\"__extn\": {\"fn\": \"ip\", \"arg\": \"x\"}}}",
        "{\"a\": {\"__extn\": {\"fn\": \"foo\", \"arg\": \"x\"}}}", "{\"a\": \"\u{0}\"}", "{\"a\": \"",
    ])
    func `what is no context is refused`(text: String) {
        #expect(throws: JSONError.self) { try Context(parsingJSON: text) }
    }

    @Test(arguments: [
        "{}", "[1]", "[{}]", "[{\"uid\": {\"type\": \"A\", \"id\": \"a\"}, \"attrs\": {}}]",
        "[{\"uid\": {\"type\": \"A\", \"id\": \"a\"}, \"attrs\": {}, \"parents\": [], \"more\": 1}]",
        "[{\"uid\": {\"type\": \"A\", \"id\": \"a\"}, \"attrs\": {}, \"parents\": [{\"type\": \"A\", \"id\": \"a\"}]}]",
    ])
    func `what are no entities is refused`(text: String) {
        #expect(throws: JSONError.self) { try Entities(parsingJSON: text) }
    }

    @Test func `nesting without end is refused`() {
        for unit in ["[", "{\"a\":"] {
            #expect(throws: JSONError.self) { try Context(parsingJSON: String(repeating: unit, count: 100_000)) }
        }
    }

    @Test(arguments: 0..<40)
    func `the reader survives damaged documents`(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        let good = Array(
            #"{"a": {"__extn": {"fn": "ip", "arg": "10.0.0.1"}}, "b": ["\ud83d\ude00", -12, {"c": true}]}"#.utf8)
        for _ in 0..<200 {
            var bytes = good
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            _ = try? Context(
                parsingJSON: String(
                    decoding: bytes.prefix(Int.random(in: 0...bytes.count, using: &random)), as: UTF8.self))
        }
    }
}
