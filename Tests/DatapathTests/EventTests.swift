import Mesh
import Testing

@testable import Datapath

/// Packets of one peer that are each worth an event.
struct Flood: CustomTestStringConvertible, Sendable {
    let frame: Frame
    var device = Who.nodeDevice
    var direction = Direction.ingress
    let kind: PacketEvent.Kind

    var testDescription: String { "\(kind) \(device.kind) \(direction)" }

    static func call(_ port: UInt16, from who: MeshOffset = Who.agent) -> Frame {
        .tcp(.v4, from: who, 40_000, to: Who.node, port, flags: Frame.syn)
    }

    static let all = [
        Flood(frame: call(Who.admin), kind: .denied),
        Flood(frame: call(Who.web), kind: .opened),
        Flood(frame: call(Who.web, from: Who.nobody), kind: .denied),
        Flood(frame: call(Who.admin), device: Who.agentDevice, direction: .egress, kind: .denied),
        Flood(frame: call(Who.web), device: Who.agentDevice, direction: .egress, kind: .opened),
    ]
}

@Suite struct EventTests {
    @Test(arguments: Flood.all)
    func `a peer is told of 64 times a second for each kind, and the rest is counted`(flood: Flood) throws {
        let world = try World()
        var events = try EventStream(world.tables)
        let start = BootTime.now()
        var (sent, told): (UInt32, [PacketEvent]) = (0, [])
        func send() throws {
            _ = try world.judge(flood.frame, at: flood.device, flood.direction)
            sent += 1
        }
        for _ in 0..<300 { try send() }
        told += try events.drain()
        let seconds = Int((BootTime.now() - start) / .seconds(1)) + 1
        #expect((64...64 * (seconds + 1)).contains(told.count))
        // Whoever is told again learns of all that was not told in between.
        #expect(
            try eventually {
                try send()
                told += try events.drain()
                return told.reduce(0) { $0 + 1 + $1.suppressed } == sent
            })
        #expect(told.allSatisfy { $0.kind == flood.kind } && told.contains { $0.suppressed > 0 })
    }

    @Test func `a flood of one kind takes nothing from the other kind, and nothing from other peers`() throws {
        let world = try World()
        var events = try EventStream(world.tables)
        for _ in 0..<200 { _ = try world.judge(Flood.call(Who.admin), at: Who.nodeDevice, .ingress) }
        _ = try events.drain()
        _ = try world.judge(Flood.call(Who.web), at: Who.nodeDevice, .ingress)
        _ = try world.judge(Flood.call(Who.web, from: Who.stranger), at: Who.nodeDevice, .ingress)
        _ = try world.judge(Flood.call(Who.web, from: Who.nobody), at: Who.nodeDevice, .ingress)
        let told = try events.drain()
        #expect(told.map(\.kind) == [.opened, .denied, .denied])
        #expect(told.map(\.remoteSlot) == [Who.agentSlot, Who.strangerSlot, nil])
        #expect(told.allSatisfy { $0.suppressed == 0 })
    }

    @Test func `an event names the policy whose grant has an end, and no other`() throws {
        let world = try World()
        var events = try EventStream(world.tables)
        for port in [Who.ended, Who.timed, Who.web, Who.admin] {
            _ = try world.judge(Flood.call(port), at: Who.nodeDevice, .ingress)
        }
        let told = try events.drain()
        #expect(told.map(\.reason) == [.grantEnded, .allowed, .allowed, .noGrant])
        #expect(told.map(\.policy) == [2, 1, nil, nil])
    }

    @Test func `an answer is denied with the policy of the grant that it would answer by`() throws {
        let world = try World()
        var events = try EventStream(world.tables)
        for flags in [Frame.ack, Frame.syn] {
            let port = flags == Frame.ack ? Who.ended : Who.web
            let answer = Frame.tcp(.v6, from: Who.node, port, to: Who.agent, 40_000, flags: flags)
            _ = try world.judge(answer, at: Who.nodeDevice, .egress)
        }
        let told = try events.drain()
        #expect(told.map(\.reason) == [.grantEnded, .answerFlags])
        #expect(told.map(\.policy) == [2, nil])
        #expect(told.map(\.initiator) == [Who.agentSlot, Who.agentSlot])
    }
}
