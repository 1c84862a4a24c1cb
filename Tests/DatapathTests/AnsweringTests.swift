import Mesh
import Testing

@testable import Datapath

@Suite struct AnsweringTests {
    @Test(arguments: Frame.Family.allCases)
    func `a UDP answer passes only to a port that asked that service`(family: Frame.Family) throws {
        let world = try World()
        func ask(_ port: UInt16) throws -> Reason {
            let question = Frame.udp(family, from: Who.agent, port, to: Who.node, Who.dns)
            return try world.judge(question, at: Who.agentDevice, .egress)
        }
        func answer(_ port: UInt16) throws -> Reason {
            let answer = Frame.udp(family, from: Who.node, Who.dns, to: Who.agent, port)
            return try world.judge(answer, at: Who.agentDevice, .ingress)
        }
        #expect(try answer(40_000) == .unasked)
        #expect(try ask(40_000) == .allowed)
        #expect(try answer(40_000) == .allowedAnswer)
        #expect(try answer(40_001) == .unasked)
        // The devices of the node keep what they asked apart from the agent's.
        #expect(
            try world.judge(
                Frame.udp(family, from: Who.node, Who.dns, to: Who.agent, 40_001), at: Who.nodeDevice, .egress)
                == .allowedAnswer)
    }

    @Test func `an answer to a port whose grant has gone does not pass`() throws {
        let world = try World()
        let question = Frame.udp(.v4, from: Who.agent, 40_000, to: Who.node, Who.dns)
        let answer = Frame.udp(.v4, from: Who.node, Who.dns, to: Who.agent, 40_000)
        #expect(try world.judge(question, at: Who.agentDevice, .egress) == .allowed)
        var narrower = Who.tables
        narrower.verdicts[Who.cell(Who.agentSlot, 2)] = nil
        try world.tables.tighten(Who.tables.changes(to: narrower))
        #expect(try world.judge(answer, at: Who.agentDevice, .ingress) == .noGrant)
    }

    @Test(arguments: Frame.Family.allCases)
    func `an echo reply passes only for the identifier that asked`(family: Frame.Family) throws {
        let world = try World()
        func reply(_ echo: UInt16) throws -> Reason {
            let reply = Frame.icmp(family, from: Who.node, to: Who.agent, Frame.echoReply, echo: echo)
            return try world.judge(reply, at: Who.agentDevice, .ingress)
        }
        #expect(try reply(7) == .unasked)
        let request = Frame.icmp(family, from: Who.agent, to: Who.node, Frame.echoRequest, echo: 7)
        #expect(try world.judge(request, at: Who.agentDevice, .egress) == .allowed)
        #expect(try reply(7) == .allowedAnswer)
        #expect(try reply(8) == .unasked)
    }

    @Test func `what was asked is a table of bounded size`() throws {
        let world = try World()
        for port: UInt16 in 1...6_000 {
            let question = Frame.udp(.v4, from: Who.agent, port, to: Who.node, Who.dns)
            #expect(try world.judge(question, at: Who.agentDevice, .egress) == .allowed)
        }
        func answers(to ports: ClosedRange<UInt16>) throws -> Int {
            try ports.filter { port in
                let answer = Frame.udp(.v4, from: Who.node, Who.dns, to: Who.agent, port)
                return try world.judge(answer, at: Who.agentDevice, .ingress) == .allowedAnswer
            }.count
        }
        #expect(try answers(to: 5_901...6_000) == 100)
        #expect(try answers(to: 1...6_000) <= 4_096)
    }

    @Test func `the first packets of UDP and echo are told once, and what follows is not`() throws {
        let world = try World()
        var events = try EventStream(world.tables)
        for _ in 0..<20 {
            let question = Frame.udp(.v6, from: Who.agent, 40_000, to: Who.node, Who.dns)
            _ = try world.judge(question, at: Who.agentDevice, .egress)
            _ = try world.judge(question, at: Who.nodeDevice, .ingress)
            let request = Frame.icmp(.v6, from: Who.agent, to: Who.node, Frame.echoRequest, echo: 7)
            _ = try world.judge(request, at: Who.agentDevice, .egress)
        }
        let told = try events.drain()
        #expect(told.count >= 3 && told.count <= 6, "a new minute may begin in between")
        #expect(told.allSatisfy { $0.kind == .opened && $0.reason == .allowed })
        #expect(Set(told.map(\.place)) == [.sessionEgress, .nodeIngress])
    }
}
