import Datapath
import Mesh
import Testing
import WireGuard

@testable import PosternNode

@Suite struct EndpointChoiceTests {
    private let first: Endpoint
    private let second: Endpoint
    private let third: Endpoint
    private let peer: EndpointChoice.Peer
    private var offered: [Endpoint] { [first, second, third] }

    init() throws {
        (first, second) = (try .test("203.0.113.9:51820"), try .test("198.51.100.9:51820"))
        third = try .test("192.168.1.9:51820")
        peer = EndpointChoice.Peer(device: .loopback, key: try key(1).publicKey)
    }

    private static func at(_ seconds: Int64) -> BootTime { BootTime(rawValue: 0) + .seconds(seconds) }

    private func underlay(_ networks: (String, Int)...) throws -> Underlay {
        Underlay(
            addresses: try networks.map { text, length in
                let address = try #require(IPAddress(text))
                return UnderlayAddress(
                    address: address, network: try #require(IPPrefix(address, length: length)), device: "eth0",
                    mtu: 1500)
            })
    }

    private func report(_ endpoint: Endpoint?, sent: UInt64, received: UInt64 = 0) -> EndpointChoice.Report {
        EndpointChoice.Report(endpoint: endpoint, sentBytes: sent, receivedBytes: received)
    }

    @Test func `a neighbour's address comes first, and else the peer's own order counts`() throws {
        let far = EndpointChoice(underlay: try underlay(("192.0.2.1", 24)))
        #expect(far.endpoint(of: peer, offering: offered) == first)
        let near = EndpointChoice(underlay: try underlay(("192.0.2.1", 24), ("192.168.1.2", 24)))
        #expect(near.endpoint(of: peer, offering: offered) == third)
    }

    @Test func `only a family that we have is tried, and never our own address`() throws {
        let six = try Endpoint.test("[2001:db8::9]:51820")
        let bridge = try Endpoint.test("172.17.0.1:51820")
        let four = try underlay(("192.0.2.1", 24), ("172.17.0.1", 16))
        #expect(four.candidates(among: [six, bridge, first], answered: nil) == [first])
        #expect(try underlay(("2001:db8::1", 64)).candidates(among: [first, six], answered: nil) == [six])
        #expect(Underlay(addresses: []).candidates(among: [six, first], answered: nil) == [six, first])
        #expect(four.candidates(among: [six], answered: nil) == [six], "better than none")
        #expect(four.candidates(among: [], answered: nil) == [])
    }

    @Test func `an endpoint that does not answer gives way after five seconds of sending, round and round`() throws {
        var choice = EndpointChoice(underlay: try underlay(("192.0.2.1", 24)))
        var tried: [Endpoint?] = []
        for step in 0..<8 {
            choice.hear(of: peer, report(first, sent: UInt64(step) * 148), at: Self.at(Int64(step) * 5))
            tried.append(choice.endpoint(of: peer, offering: offered))
        }
        #expect(tried == [first, second, third, first, second, third, first, second])
    }

    @Test func `one that nothing is sent to keeps its turn`() throws {
        var choice = EndpointChoice(underlay: try underlay(("192.0.2.1", 24)))
        for step in 0..<10 {
            choice.hear(of: peer, report(first, sent: 148), at: Self.at(Int64(step) * 60))
            #expect(choice.endpoint(of: peer, offering: offered) == first)
        }
        choice.hear(of: peer, report(first, sent: 296), at: Self.at(544))
        #expect(choice.endpoint(of: peer, offering: offered) == first, "four seconds are not five")
    }

    @Test func `what the peer's own packets teach is kept, wherever that is`() throws {
        let roamed = try Endpoint.test("198.18.0.7:4000")
        var choice = EndpointChoice(underlay: try underlay(("192.0.2.1", 24)))
        choice.hear(of: peer, report(first, sent: 148), at: Self.at(0))
        choice.hear(of: peer, report(roamed, sent: 300, received: 92), at: Self.at(5))
        #expect(choice.endpoint(of: peer, offering: offered) == roamed)
        choice.hear(of: peer, report(roamed, sent: 300, received: 92), at: Self.at(600))
        #expect(choice.endpoint(of: peer, offering: offered) == roamed, "silence on both sides says nothing")
    }

    @Test func `a peer that falls silent is looked for where it last was, then elsewhere`() throws {
        var choice = EndpointChoice(underlay: try underlay(("192.0.2.1", 24)))
        choice.hear(of: peer, report(second, sent: 148, received: 92), at: Self.at(0))
        choice.hear(of: peer, report(second, sent: 200, received: 200), at: Self.at(5))
        let roamed = try Endpoint.test("198.18.0.7:4000")
        choice.hear(of: peer, report(roamed, sent: 300, received: 300), at: Self.at(10))
        var tried: [Endpoint?] = []
        for step in 1...6 {
            let report = report(roamed, sent: 300 + UInt64(step) * 148, received: 300)
            choice.hear(of: peer, report, at: Self.at(10 + Int64(step) * 5))
            tried.append(choice.endpoint(of: peer, offering: offered))
        }
        #expect(tried == [roamed, roamed, first, second, third, first])
    }

    @Test func `the endpoint that last answered is the first to be tried again`() throws {
        let underlay = try underlay(("192.0.2.1", 24), ("192.168.1.2", 24))
        #expect(underlay.candidates(among: offered, answered: second) == [second, third, first])
        #expect(underlay.candidates(among: [first], answered: second) == [first], "it is not offered any more")
    }

    @Test func `a device that was made anew keeps what was learnt`() throws {
        var choice = EndpointChoice(underlay: try underlay(("192.0.2.1", 24)))
        choice.hear(of: peer, report(first, sent: 148), at: Self.at(0))
        choice.hear(of: peer, report(second, sent: 5000, received: 9000), at: Self.at(5))
        choice.hear(of: peer, report(nil, sent: 0), at: Self.at(10))
        #expect(choice.endpoint(of: peer, offering: offered) == second)
    }

    @Test func `in another network everybody is looked for anew, best first`() throws {
        var choice = EndpointChoice(underlay: try underlay(("192.0.2.1", 24)))
        choice.hear(of: peer, report(first, sent: 0), at: Self.at(0))
        choice.hear(of: peer, report(first, sent: 148), at: Self.at(5))
        #expect(choice.endpoint(of: peer, offering: offered) == second)
        choice.move(to: try underlay(("192.168.1.2", 24)), at: Self.at(6))
        #expect(choice.endpoint(of: peer, offering: offered) == third)
    }

    @Test func `peers that are gone are forgotten`() throws {
        var choice = EndpointChoice(underlay: try underlay(("192.0.2.1", 24)))
        choice.hear(of: peer, report(second, sent: 1, received: 1), at: Self.at(0))
        #expect(choice.endpoint(of: peer, offering: offered) == second)
        choice.keep([], known: [])
        #expect(choice.endpoint(of: peer, offering: offered) == first)
    }

    @Test func `another device tries first where the peer answered this one`() throws {
        let other = EndpointChoice.Peer(device: try #require(DeviceName("pt1")), key: peer.key)
        var choice = EndpointChoice(underlay: try underlay(("192.0.2.1", 24)))
        choice.hear(of: peer, report(second, sent: 148), at: Self.at(0))
        #expect(choice.endpoint(of: other, offering: offered) == first)
        choice.hear(of: peer, report(second, sent: 148, received: 92), at: Self.at(5))
        #expect(choice.endpoint(of: other, offering: offered) == second)
        choice.keep([], known: [peer.key])
        #expect(choice.endpoint(of: other, offering: offered) == second, "also when the first has gone")
        #expect(choice.endpoint(of: other, offering: [first, third]) == first, "as long as the peer offers it")
    }
}

extension Endpoint {
    fileprivate static func test(_ text: String) throws -> Endpoint { try #require(Endpoint(text)) }
}
