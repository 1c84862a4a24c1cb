import Testing

@testable import Cedar

@Suite struct EntityChangesTests {
    /// Everything that something belongs to, by walking up.
    private static func ancestors(of uid: EntityUID, _ entities: [EntityUID: Entity]) -> Set<EntityUID> {
        var found: Set<EntityUID> = []
        var open = entities[uid]?.parents ?? []
        while let next = open.popLast() {
            if found.insert(next).inserted { open += entities[next]?.parents ?? [] }
        }
        return found
    }

    /// With few bits of the names' hashes, numbers are found behind those of other names.
    @Test(arguments: 0..<20, [UInt64.max, 7])
    func `membership after changes is that of walking up`(seed: Int, mask: UInt64) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let names = (0..<15).map { EntityUID(type: "Group", id: "\($0)") }
        var entities = try Entities([], mask: mask)
        var model: [EntityUID: Entity] = [:]
        for _ in 0..<100 {
            let name = names.randomElement(using: &random)!
            if Int.random(in: 0..<3, using: &random) == 0 {
                entities.remove(name)
                model[name] = nil
            } else {
                let parents = (0..<Int.random(in: 0...3, using: &random)).map { _ in
                    names.randomElement(using: &random)!
                }
                let attributes: [Text: Value] = ["friend": .entity(names.randomElement(using: &random)!)]
                let entity = Entity(name, in: parents, attributes: attributes)
                if parents.contains(where: { $0 == name || Self.ancestors(of: $0, model).contains(name) }) {
                    #expect(throws: EntitiesError.self) { try entities.insert(entity) }
                } else {
                    try entities.insert(entity)
                    model[name] = entity
                }
            }
            #expect(entities.count == model.count)
            for name in names {
                #expect(entities[name] == model[name])
                #expect(entities.ancestors(of: name) == Self.ancestors(of: name, model))
            }
        }
        for name in names { entities.remove(name) }
        #expect(names.allSatisfy { entities.find($0) == nil })
    }

    @Test func `a name of which nothing speaks is forgotten`() throws {
        let (ann, staff) = (EntityUID(type: "User", id: "ann"), EntityUID(type: "Group", id: "staff"))
        var indexed = IndexedAuthorizer(
            policies: try PolicySet(parsing: #"permit(principal in Group::"staff", action, resource);"#),
            entities: try Entities([Entity(ann, in: [staff])]))
        indexed.removeEntity(ann)
        #expect(indexed.entities.find(ann) == nil && indexed.entities.find(staff) != nil)
        indexed.removePolicy("policy0")
        #expect(indexed.entities.find(staff) == nil)
    }

    @Test func `a change that would make the hierarchy too large changes nothing`() throws {
        let groups = (0...2000).map { EntityUID(type: "Group", id: "\($0)") }
        let chain = zip(groups, groups.dropFirst()).map { Entity($0, in: [$1]) }
        let users = (0..<1000).map { Entity(EntityUID(type: "User", id: "\($0)"), in: [groups[1000]]) }
        var entities = try Entities(chain + users)
        let top = groups[1000]
        #expect(throws: EntitiesError.hierarchyTooLarge) {
            try entities.insert(
                Entity(top, in: (0..<1000).map { EntityUID(type: "Other", id: "\($0)") } + [groups[1001]]))
        }
        #expect(entities[top] == chain[1000] && entities.ancestors(of: top).count == 1000)
    }

    @Test(arguments: 0..<20)
    func `a table holds what a dictionary does`(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        var table = Table<Int>(none: -1)
        var model: [UInt64: Int] = [:]
        for step in 0..<4000 {
            let key = UInt64.random(in: 1...600, using: &random)
            if Bool.random(using: &random) {
                table.update(key) { $0 = step }
                model[key] = step
            } else {
                table.remove(key)
                model[key] = nil
            }
        }
        for key in 1...600 as ClosedRange<UInt64> { #expect(table[key] == model[key] ?? -1) }
    }
}
