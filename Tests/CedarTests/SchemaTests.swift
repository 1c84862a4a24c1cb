import Testing

@testable import Cedar

@Suite struct SchemaTests {
    private static let text = """
        @doc("what agents are") entity Agent in [Group] = { owner: User, "nick name"?: String, @x hours?: Set<Span>, } tags Set<Long>;
        entity User, Group; entity Colour enum ["red", "\\u{E9}"];
        type Span = { from: Long, to: datetime };
        namespace Files {
            type Size = __cedar::Long;
            entity File in [Folder] { span: Size, ip: ipaddr, up: Folder };
            entity Folder in Folder;
            action "read all", write in [Action::"everything", write] appliesTo {
                principal: Agent, resource: [File, Folder], context: { span?: Size },
            };
            action "everything";
        }
        """

    @Test func `names mean what their namespace declares, or else the empty one`() throws {
        // A group cannot stand in itself, so `write` is declared apart.
        let text = Self.text.replacing(#""everything", write]"#, with: #""everything"]"#)
        let schema = try Schema(parsing: text)
        let file = try #require(schema.entityTypes["Files::File"])
        #expect(file.attributes.attributes["span"] == AttributeType(.long))
        #expect(file.attributes.attributes["ip"] == AttributeType(.ext(.ipaddr)))
        #expect(file.attributes.attributes["up"] == AttributeType(.entity("Files::Folder")))
        #expect(file.ancestors == ["Files::Folder"])
        let agent = try #require(schema.entityTypes["Agent"])
        #expect(agent.tags == .set(.long))
        #expect(agent.attributes.attributes["nick name"] == AttributeType(.string, isRequired: false))
        let read = try #require(schema.actions[EntityUID(type: "Files::Action", id: "read all")])
        #expect(read.ancestors == [EntityUID(type: "Files::Action", id: "everything")])
        #expect(read.principals == ["Agent"] && read.resources == ["Files::File", "Files::Folder"])
        #expect(read.context.attributes["span"] == AttributeType(.long, isRequired: false))
    }

    @Test func `an action in its own group is refused`() {
        #expect(throws: SchemaError.actionCycle(EntityUID(type: "Files::Action", id: "write"))) {
            try Schema(parsing: Self.text)
        }
    }

    @Test(arguments: [
        "", "entity A in A;", "entity A in [];", "entity A = {a: Long, a: String};", "entity A enum [\"a\", \"a\"];",
        "entity Long; entity B = {a: Long};", "entity A in [B]; entity B in [A];", "entity A; action a attributes {};",
        "entity A enum [\"a\"]; entity B in A;", "entity A;// x", "entity\u{A0}A;", "entity A = {\"x\ny\": Long};",
        "@if @in(\"q\") entity A;", "entity A; action \"a\", b in [\"c\", Action::\"d\"]; action c, d;",
        "action a in N::Action::\"x\"; namespace N {action x;}",
        "namespace N {type T = Long; entity A = {a: N::T, b: T};}",
        "action x; namespace N { action y in x; action z in \"x\";}", "entity A = {__cedar: Long};",
        "entity A; action a appliesTo {principal: [A], resource: [A], context: {},};",
        "entity A = {a: Action}; action x;",
        "namespace A::B { entity C; } entity D = {c: A::B::C};", "entity ipaddr; entity A = {a: ipaddr};",
        "type decimal = {}; entity A = {a: decimal};", "type A = Long; entity A; entity B = {a: A};",
        "namespace N { entity Long; } entity A = {a: Long};", "entity A { a: Long } tags Long;",
        "action \"a b\" appliesTo { context: {}, resource: A, principal: A }; entity A;",
        "entity A; @x @y(\"1\") namespace N { @z entity B; }", "entity namespace in [type]; entity type, in_, Set;",
        "type T = {a: Long}; entity A; action a appliesTo {principal: A, resource: A, context: T};",
    ])
    func `is a schema`(text: String) throws {
        _ = try Schema(parsing: text)
    }

    @Test(arguments: [
        "entity A, A;", "entity A; entity A;", "namespace X {entity A;} namespace X {entity B;}", "type Long = String;",
        "entity A = {a: Foo};", "entity A = {a: __cedar::Foo};", "entity A enum [];", "entity A; action a in b;",
        "entity A; action a in b; action b in a;", "type A = B; type B = A;", "entity A in [B];",
        "entity A; action a appliesTo {principal: A};", "entity A; action a appliesTo {principal: [], resource: A};",
        "entity A; action a appliesTo {principal: A, resource: A, context: A};",
        "type T = Long; entity A; action a appliesTo {principal: A, resource: A, context: T};",
        "entity A; namespace N { entity A; }", "action a; namespace N { action a; }", "entity Action;",
        "entity __cedar;", "namespace __cedar { entity A; }", "entity if;", "action a in A::\"x\"; entity A;",
        "@a(\"x\") @a(\"y\") entity A;", "entity A = {in?: Long};", "type Set = Long;", "entity A = T; type T = {};",
        "entity A; action a appliesTo {principal: A, resource: A, principal: A};", "entity A = {a: Set};",
        "action a appliesTo {principal: Action, resource: Action};", "/* x */ entity A;",
        "entity A in Action; action x;",
        "entity A = {\"\\*\": Long};", "entity A, B, ;", "action a, ;", "entity A in [A,];", "action a in [];",
        "action a in [b,]; action b;", "entity A = {a: Long,, b: Long};", "entity A = {}; ; entity B;",
        "entity A; action a appliesTo {};", "entity A = {a: Boolean};", "namespace N { type A = Long; } entity A;",
        "entity A enum [\"x\"] tags Long;", "entity A = {a: Long?};", "entity A = {?a: Long};", "entity a::b;",
        "entity", "entity A", "entity A = {", "entity A = {a", "entity A = {a:", "action \"", "type T = Set<;", "@",
    ])
    func `is no schema`(text: String) {
        #expect(throws: SchemaError.self) { try Schema(parsing: text) }
    }

    @Test func `a mistake is told with its place`() {
        #expect {
            try Schema(parsing: "entity A;\nentity B = {a: };")
        } throws: {
            "\($0)" == "cannot read the schema: 2:16: expected a type, found `}`"
        }
        #expect {
            try Schema(parsing: "namespace N { entity A = {a: B, c: C}; }")
        } throws: {
            "\($0)" == "the schema names types that nobody declares: `B`, `C`"
        }
    }

    @Test func `types without end are refused`() {
        let doubling = (0..<40).map { "type T\($0) = {a: T\($0 + 1), b: T\($0 + 1)};" }.joined() + "type T40 = Long;"
        #expect(throws: SchemaError.tooLarge) { try Schema(parsing: doubling) }
        let chain = (0..<5000).map { "type T\($0) = Set<T\($0 + 1)>;" }.joined() + "type T5000 = Long;"
        #expect(throws: SchemaError.tooLarge) { try Schema(parsing: chain) }
        let nested = "type T = " + String(repeating: "Set<", count: 100_000)
        #expect(throws: SchemaError.self) { try Schema(parsing: nested) }
    }

    @Test(arguments: 0..<20)
    func `the readers survive damaged schemas`(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let json = try SchemaFragment(parsing: Self.text).json
        for good in [Array(Self.text.utf8), Array(json.utf8)] {
            for _ in 0..<60 {
                var bytes = good
                for _ in 0..<Int.random(in: 1...4, using: &random) {
                    bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
                }
                let text = String(
                    decoding: bytes.prefix(Int.random(in: 0...bytes.count, using: &random)), as: UTF8.self)
                _ = try? Schema(parsing: text)
                _ = try? Schema(parsingJSON: text)
            }
        }
    }

    @Test func `both forms say the same and can be turned into each other`() throws {
        let fragment = try SchemaFragment(parsing: Self.text)
        let printed = try fragment.text
        #expect(try SchemaFragment(parsing: printed) == fragment)
        #expect(try SchemaFragment(parsing: printed).text == printed)
        let json = fragment.json
        #expect(try SchemaFragment(parsingJSON: json) == fragment)
        #expect(try SchemaFragment(parsingJSON: json).text == printed)
    }

    @Test func `a mark at the start of a string does not join its quote`() throws {
        let printed = "action \"\\u{749}\\'\u{749}\";\n"
        let fragment = try SchemaFragment(parsing: printed)
        #expect(fragment.namespaces[""]?.actions.keys.first == "\u{749}'\u{749}")
        #expect(Array(try fragment.text.utf8) == Array(printed.utf8))
    }

    @Test func `what the text cannot say is not turned into it`() throws {
        let json = #"""
            {"N": {"entityTypes": {"A": {"shape": {"type": "T"}}},
                   "commonTypes": {"T": {"type": "Record", "attributes": {}}}, "actions": {}}}
            """#
        let fragment = try SchemaFragment(parsingJSON: json)
        _ = try Schema(fragment)
        #expect(throws: SchemaTextError.shapeNotRecord("N::A")) { try fragment.text }
    }

    @Test(arguments: [
        "{}", #"{"":{"entityTypes":{},"actions":{}}}"#,
        #"{"":{"entityTypes":{"A":{}},"actions":{"a":{"appliesTo":{"principalTypes":[],"resourceTypes":["A"]}}}}}"#,
        #"{"":{"entityTypes":{"A":{}},"actions":{"a":{"appliesTo":null}}}}"#,
        #"{"":{"entityTypes":{"A":{"tags":{"type":"Boolean"},"annotations":{"a":"b","c":null}}},"actions":{}}}"#,
        #"{"":{"entityTypes":{"A":{"memberOfTypes":["N::B"]}},"actions":{}},"N":{"entityTypes":{"B":{}},"actions":{"x":{"memberOf":[{"id":"y"}]},"y":{}}}}"#,
        #"{"":{"entityTypes":{"A":{"shape":{"type":"Record","attributes":{"a":{"type":"Bool"}}}}},"actions":{}}}"#,
        #"{"":{"entityTypes":{"A":{"shape":{"type":"Record","attributes":{"a":{"type":"EntityOrCommon","name":"A"}}}}},"actions":{}}}"#,
    ])
    func `is a JSON schema`(text: String) throws {
        _ = try Schema(parsingJSON: text)
    }

    @Test(arguments: [
        #"{"":{}}"#,
        #"{"":{"entityTypes":{"A":{"shape":{"type":"Record","attributes":{"a":{"type":"Foo"}}}}},"actions":{}}}"#,
        #"{"":{"entityTypes":{"A":{"shape":{"type":"Record","attributes":{"a":{"type":"String","name":"x"}}}}},"actions":{}}}"#,
        #"{"":{"entityTypes":{"A":{"shape":{"type":"Record","attributes":{},"additionalAttributes":true}}},"actions":{}}}"#,
        #"{"":{"entityTypes":{"A":{"shape":{"type":"Record"}}},"actions":{}}}"#,
        #"{"":{"entityTypes":{"A":{"shape":{"type":"Long"}}},"actions":{}}}"#,
        #"{"":{"entityTypes":{"A":{}},"actions":{"a":{"appliesTo":{"principalTypes":["A"]}}}}}"#,
        #"{"":{"entityTypes":{"A":{}},"actions":{"a":{"attributes":{}}}}}"#,
        #"{"":{"entityTypes":{"A":{"enum":[]}},"actions":{}}}"#,
        #"{"":{"entityTypes":{"A":{"enum":["a"],"shape":{"type":"Record","attributes":{}}}},"actions":{}}}"#,
        #"{"":{"entityTypes":{"A":{"x":1}},"actions":{}}}"#, #"{"":{"entityTypes":{"A":{}},"actions":{},"foo":1}}"#,
        #"{"":{"entityTypes":{"A":{}},"actions":{"a":{"memberOf":[{"id":"b"}]}}}}"#,
        #"{"":{"entityTypes":{"A":{"shape":{"type":"Set"}}},"actions":{}}}"#,
        #"{"":{"entityTypes":{"A":{"shape":{"type":"Record","attributes":{"a":{"type":"A"}}}}},"actions":{}}}"#,
        #"{"":{"entityTypes":{"A":{"memberOfTypes":["A ","A"]}},"actions":{}}}"#,
        #"{"":{"annotations":{"a":"x"},"entityTypes":{},"actions":{}}}"#, #"{"a b":{"entityTypes":{},"actions":{}}}"#,
        #"{"":{"entityTypes":{"if":{}},"actions":{}}}"#, "[]", "{",
        #"{"":{"commonTypes":{"Set":{"type":"Long"}},"entityTypes":{},"actions":{}}}"#,
        #"{"":{"commonTypes":{"T":{"type":"Extension","name":"nope"}},"entityTypes":{},"actions":{}}}"#,
    ])
    func `is no JSON schema`(text: String) {
        #expect(throws: SchemaError.self) { try Schema(parsingJSON: text) }
    }
}
