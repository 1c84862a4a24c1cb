import Foundation
import Mesh
import Testing

@testable import Datapath

/// How much a run tries: a little each time, less where all is slow, and much when it is asked to.
enum Depth {
    static let isDeep = ProcessInfo.processInfo.environment["POSTERN_TEST_DEEP"] != nil
    static let seeds: ClosedRange<UInt64> = 1...(isDeep ? 200 : patience > 1 ? 1 : 4)
}

@Suite struct ModelTests {
    @Test(arguments: Depth.seeds)
    func `the kernel judges random packets as the model does`(seed: UInt64) throws {
        var random = Seeded(state: seed)
        let world = try World(TableSet())
        var models = Who.devices.map { Model(device: $0) }
        var met: Set<Reason> = []
        for _ in 0..<25 {
            let next = random.tableSet()
            let changes = models[0].tables.changes(to: next)
            try world.tables.tighten(changes)
            try world.tables.loosen(changes)
            for index in models.indices { models[index].tables = next }
            for _ in 0..<120 {
                let (frame, metadata) = (random.frame(), random.metadata())
                let index = random.pick(Array(models.indices))
                let direction = random.pick(Direction.allCases)
                let expected = models[index].judge(frame, direction, metadata)
                let reason = try world.judge(frame, at: models[index].device, direction, metadata)
                #expect(reason == expected, "\(models[index].device.kind) \(direction) \(hex(frame.bytes))")
                met.insert(reason)
            }
        }
        #expect(met.count > 20, "\(met)")
    }

    @Test(arguments: Depth.seeds)
    func `noise is judged as the model does, and passes nothing`(seed: UInt64) throws {
        var random = Seeded(state: seed)
        let world = try World()
        var models = Who.devices.map { Model(device: $0) }
        for index in models.indices { models[index].tables = Who.tables }
        for _ in 0..<2_000 {
            let frame = random.noise()
            let index = random.pick(Array(models.indices))
            let direction = random.pick(Direction.allCases)
            let expected = models[index].judge(frame, direction, Metadata())
            let reason = try world.judge(frame, at: models[index].device, direction)
            #expect(reason == expected && !reason.isAllowed, "\(hex(frame.bytes))")
        }
    }
}
