import Testing

@testable import Cedar

@Suite struct EntitiesTests {
    private static func group(_ number: Int) -> EntityUID { EntityUID(type: "Group", id: "\(number)") }

    @Test func `membership reaches through every level and through unknown parents`() throws {
        let entities = try Entities([
            Entity(Self.group(2), in: [Self.group(3), Self.group(4)]), Entity(Self.group(1), in: [Self.group(2)]),
            Entity(Self.group(4), in: [Self.group(5)]),
        ])
        #expect(entities.ancestors(of: Self.group(1)) == Set((2...5).map(Self.group)))
        #expect(entities.contains(Self.group(1), in: Self.group(1)))
        #expect(!entities.contains(Self.group(3), in: Self.group(1)))
        #expect(entities.contains(Self.group(99), in: Self.group(99)))
    }

    @Test(arguments: [[1], [1, 2], [1, 2, 3]])
    func `a cycle is refused`(members: [Int]) {
        let ring = members.enumerated().map {
            Entity(Self.group($1), in: [Self.group(members[($0 + 1) % members.count])])
        }
        #expect(throws: EntitiesError.cycle(Self.group(1))) { try Entities(ring) }
    }

    @Test func `an entity defined twice is refused`() {
        #expect(throws: EntitiesError.duplicate(Self.group(1))) {
            try Entities([Entity(Self.group(1)), Entity(Self.group(1), in: [Self.group(2)])])
        }
    }

    @Test func `in a text an entity may be there twice, if both say the same`() throws {
        func text(_ second: String) -> String {
            """
            [{"uid": {"type": "G", "id": "a"}, "attrs": {"x": 1}, "parents": [{"type": "G", "id": "b"}]},
             {"uid": {"type": "G", "id": "a"}, "attrs": {"x": \(second)}, "parents": [{"type": "G", "id": "b"}]}]
            """
        }
        let schema = try Schema(parsing: "entity G in [G] = {x: Long};")
        #expect(try Entities(parsingJSON: text("1")).count == 1)
        #expect(try Entities(parsingJSON: text("1"), schema: schema).count == 1)
        #expect(throws: JSONError.self) { try Entities(parsingJSON: text("2")) }
        #expect(throws: JSONError.self) { try Entities(parsingJSON: text("2"), schema: schema) }
    }

    @Test func `a chain as deep as the limit is refused without overflow`() {
        let chain = (0..<Entities.maximumEntities).map { Entity(Self.group($0), in: [Self.group($0 + 1)]) }
        #expect(throws: EntitiesError.hierarchyTooLarge) { try Entities(chain) }
    }

    @Test func `too many entities are refused`() {
        let many = (0...Entities.maximumEntities).map { Entity(Self.group($0)) }
        #expect(throws: EntitiesError.tooManyEntities) { try Entities(many) }
    }

    @Test(arguments: ["", "9", "a::", "::a", "a:b", "a b", "in", "a::is", "__cedar::a", "é", "a::b::"])
    func `what no policy can spell is no entity type`(name: String) {
        #expect(EntityType(name) == nil)
    }
}
