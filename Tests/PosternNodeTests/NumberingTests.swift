import Datapath
import Mesh
import Testing

@testable import PosternNode

@Suite struct NumberingTests {
    @Test(arguments: seeds)
    func `no two things ever have one number, and who stays keeps his`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var numbering = Numbering()
        for _ in 0..<50 {
            let before = numbering
            let numbers = (0..<Int.random(in: 0...40, using: &random)).map { _ in
                UInt32.random(in: 1...60, using: &random)
            }
            let peers = Set(try numbers.map(peer))
            let sockets = Set(try peers.filter { $0.rawValue.isMultiple(of: 2) }.map { try socket($0, 80) })
            try numbering.assign(peers: peers, sockets: sockets)
            #expect(Set(numbering.slots.keys) == peers)
            #expect(Set(numbering.slots.values).count == peers.count)
            #expect(Set(numbering.classes.keys) == sockets)
            #expect(Set(numbering.classes.values).count == sockets.count)
            #expect(peers.allSatisfy { before.slots[$0] == nil || before.slots[$0] == numbering.slots[$0] })
            #expect(sockets.allSatisfy { before.classes[$0] == nil || before.classes[$0] == numbering.classes[$0] })
        }
    }

    @Test func `numbers are dense, and those that became free are given again`() throws {
        var numbering = Numbering()
        try numbering.assign(peers: try peers(1...5), sockets: [])
        #expect(numbering.slots.values.map(\.rawValue).sorted() == [1, 2, 3, 4, 5])
        let free = try #require(numbering.slots[try peer(2)])
        try numbering.assign(peers: try peers(1...1).union(try peers(3...6)), sockets: [])
        #expect(numbering.slots[try peer(6)] == free)
    }

    @Test func `the tables' last number is given, and there is none after it`() throws {
        var numbering = Numbering()
        try numbering.assign(peers: try peers(1...Slot.count - 1), sockets: [])
        #expect(Set(numbering.slots.values).count == Int(Slot.count) - 1)
        let before = numbering
        let more = try peers(1...Slot.count)
        #expect(throws: NodeError("this node would need 131072 peers, and its tables hold 131071")) {
            try numbering.assign(peers: more, sockets: [])
        }
        #expect(numbering == before)
    }

    @Test func `services have a limit of their own`() throws {
        var numbering = Numbering()
        let one = try peer(1)
        let sockets = Set(try (1...UInt16(ServiceClass.count)).map { try socket(one, $0) })
        #expect(throws: NodeError("this node would need 1024 services, and its tables hold 1023")) {
            try numbering.assign(peers: [one], sockets: sockets)
        }
        try numbering.assign(peers: [one], sockets: Set(sockets.sorted().dropLast()))
        #expect(Set(numbering.classes.values).count == Int(ServiceClass.count) - 1)
    }

    @Test func `tables that give two peers one slot are not believed`() throws {
        let slot = try #require(Slot(rawValue: 3))
        var tables = TableSet()
        for (offset, generation) in [(10, 7), (11, 8)] as [(UInt32, UInt32)] {
            tables.peers[try #require(MeshOffset(rawValue: offset))] = PeerEntry(
                slot: slot, generation: try #require(Generation(rawValue: generation)), lease: BootTime(rawValue: 1))
        }
        var numbering = Numbering(adopting: tables)
        try numbering.assign(peers: try peers(7...8), sockets: [])
        #expect(Set(numbering.slots.values).count == 2)
    }

    @Test func `tables that give two services one class are not believed`() throws {
        let (slot, shared) = (try #require(Slot(rawValue: 3)), try #require(ServiceClass(rawValue: 5)))
        let seven = try peer(7)
        var tables = TableSet()
        tables.peers[try #require(MeshOffset(rawValue: 10))] = PeerEntry(
            slot: slot, generation: try #require(Generation(rawValue: 7)), lease: BootTime(rawValue: 1))
        for number in [80, 81] as [UInt16] {
            tables.services[ServiceKey(slot: slot, port: try port(number), transport: .tcp)] = shared
        }
        var numbering = Numbering(adopting: tables)
        try numbering.assign(peers: [seven], sockets: [try socket(seven, 80), try socket(seven, 81)])
        #expect(numbering.slots[seven] == slot)
        #expect(Set(numbering.classes.values).count == 2)
    }

    private func peer(_ number: UInt32) throws -> PeerID { try #require(PeerID(rawValue: number)) }

    private func peers(_ numbers: ClosedRange<UInt32>) throws -> Set<PeerID> { Set(try numbers.map(peer)) }

    private func socket(_ peer: PeerID, _ number: UInt16) throws -> Numbering.Socket {
        Numbering.Socket(peer: peer, transport: .tcp, port: try port(number))
    }
}
