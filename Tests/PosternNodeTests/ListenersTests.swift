import Mesh
import Testing

@testable import PosternNode

@Suite struct ListenersTests {
    private static let header = "  sl  local_address rem_address   st tx_queue rx_queue\n"

    private static func listeners(_ tcp: [String] = [], _ tcp6: [String] = [], udp: [String] = []) -> Listeners {
        func table(_ lines: [String]) -> String {
            header + lines.map { "   0: \($0) 00000000:00000000 00:00000000 00000000 0 0 1\n" }.joined()
        }
        return Listeners(tcp: [table(tcp), table(tcp6)], udp: [table(udp)])
    }

    private static let mesh: Set<IPAddress> = [.v4(IPv4Address(rawValue: 0x0a00_0002))]

    @Test(
        arguments: [
            ([], [], .nowhere),
            (["0100007F:0050 00000000:0000 0A"], [], .loopback),
            ([], ["00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A"], .loopback),
            ([], ["0000000000000000FFFF00000100007F:0050 00000000000000000000000000000000:0000 0A"], .loopback),
            (["0200000A:0050 00000000:0000 0A"], [], .mesh),
            (["0200000A:0050 00000000:0000 0A", "0100007F:0050 00000000:0000 0A"], [], .mesh),
            (["00000000:0050 00000000:0000 0A"], [], .beside("all addresses")),
            (
                [], ["00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A"],
                .beside("all addresses")
            ),
            (["0200000A:0050 00000000:0000 0A", "050200C0:0050 00000000:0000 0A"], [], .beside("192.0.2.5")),
            // A connection is no listener, and another port is another's.
            (["00000000:0050 00000000:0000 01", "00000000:0051 00000000:0000 0A"], [], .nowhere),
        ] as [([String], [String], Listeners.Reach)])
    func `the table of the kernel says from where a port is reached`(
        tcp: [String], tcp6: [String], expected: Listeners.Reach
    ) throws {
        #expect(Self.listeners(tcp, tcp6).reach(of: try port(80), .tcp, mesh: Self.mesh) == expected)
    }

    @Test(arguments: [
        ("00000000:0035 00000000:0000 07", Listeners.Reach.beside("all addresses")),
        ("0200000A:0035 00000000:0000 07", .mesh),
        // A socket that is connected hears one peer alone.
        ("0200000A:0035 0300000A:1234 01", .nowhere),
    ])
    func `of UDP it counts who hears everybody`(line: String, expected: Listeners.Reach) throws {
        let listeners = Self.listeners(udp: [line])
        #expect(listeners.reach(of: try port(53), .udp, mesh: Self.mesh) == expected)
        #expect(listeners.reach(of: try port(53), .tcp, mesh: Self.mesh) == .nowhere)
    }

    @Test func `nonsense in the table is nobody`() throws {
        var generator = SeededGenerator(seed: 4)
        let alphabet = Array("0123456789ABCDEF: \n".utf8)
        for _ in 0..<2000 {
            let bytes = (0..<Int.random(in: 0...120, using: &generator)).map { _ in
                alphabet.randomElement(using: &generator) ?? 0
            }
            let text = String(decoding: bytes, as: UTF8.self)
            _ = Listeners(tcp: [text], udp: [text]).reach(of: try port(80), .udp, mesh: Self.mesh)
        }
    }
}
