import Mesh
import Testing

@testable import Datapath

@Suite struct ModelTests {
    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func `the kernel judges random packets as the model does`(seed: UInt64) throws {
        var random = Seeded(state: seed)
        var current = TableSet()
        let world = try World(current)
        var met: Set<Reason> = []
        for _ in 0..<25 {
            let next = random.tableSet()
            let changes = current.changes(to: next)
            try world.tables.tighten(changes)
            try world.tables.loosen(changes)
            current = next
            for _ in 0..<60 {
                let (frame, metadata) = (random.frame(), random.metadata())
                let device = random.pick([Who.nodeDevice, Who.agentDevice])
                let direction = random.pick(Direction.allCases)
                let expected = Model(tables: current, device: device, direction: direction).judge(frame, metadata)
                let reason = try world.judge(frame, at: device, direction, metadata)
                #expect(reason == expected, "\(device.kind) \(direction) \(hex(frame.bytes))")
                met.insert(reason)
            }
        }
        #expect(met.count > 12)
    }
}
