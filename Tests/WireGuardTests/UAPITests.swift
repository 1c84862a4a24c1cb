import Mesh
import Testing

@testable import WireGuard

@Suite struct UAPIRequestTests {
    @Test func `tightening removes peers and gives a narrowed one what it keeps`() throws {
        let tightening = DeviceChanges.Tightening(
            removedPeers: [key(1)],
            keptAllowedIPs: [key(2): [prefix("10.0.0.2/32"), prefix("10.0.0.1/32")], key(3): []])
        #expect(
            UAPIRequest.set(tightening).parts.joined() == """
                set=1
                public_key=\(digits(1))
                remove=true
                public_key=\(digits(2))
                update_only=true
                replace_allowed_ips=true
                allowed_ip=10.0.0.1/32
                allowed_ip=10.0.0.2/32
                public_key=\(digits(3))
                update_only=true
                replace_allowed_ips=true


                """)
    }

    @Test func `loosening sets the device and adds without replacing`() throws {
        let secret = try #require(WireGuardPrivateKey(bytes: Array(repeating: 9, count: 32)))
        let loosening = DeviceChanges.Loosening(
            privateKey: secret, listenPort: Port("51820"),
            peers: [
                key(1): .init(
                    isNew: true, allowedIPs: [prefix("fd00::1/128")], endpoint: Endpoint("192.0.2.1:7"),
                    keepaliveSeconds: 25),
                key(2): .init(allowedIPs: [prefix("10.0.0.2/32")], keepaliveSeconds: 0),
            ])
        #expect(
            UAPIRequest.set(loosening).parts.joined() == """
                set=1
                private_key=\(digits(9))
                listen_port=51820
                public_key=\(digits(1))
                endpoint=192.0.2.1:7
                persistent_keepalive_interval=25
                allowed_ip=fd00::1/128
                public_key=\(digits(2))
                update_only=true
                persistent_keepalive_interval=0
                allowed_ip=10.0.0.2/32


                """)
    }
}

extension UAPIRequestTests {
    @Test(arguments: [0, 1, 127, 128, 129, 256, 300])
    func `a request of any length is one message, in parts of so many peers`(count: Int) throws {
        let peers = try (0..<count).map { number in
            try #require(
                WireGuardPublicKey(bytes: [UInt8(number >> 8), UInt8(number & 255)] + [UInt8](repeating: 0, count: 30)))
        }
        let request = UAPIRequest.set(DeviceChanges.Tightening(removedPeers: Set(peers)))
        let expected = peers.map { "public_key=\(hex($0.bytes))\nremove=true\n" }.joined()

        #expect(request.parts.joined() == "set=1\n" + expected + "\n")
        #expect(Array(request.parts).count == max(1, (count + 127) / 128))
        #expect(request.parts.allSatisfy { $0.split(separator: "\n").filter { $0 == "remove=true" }.count <= 128 })
    }

    @Test func `the question for the state is one line`() {
        #expect(Array(UAPIRequest.get.parts) == ["get=1\n\n"])
    }
}

@Suite struct UAPIReplyTests {
    @Test func `a whole answer is read`() throws {
        let secret = try #require(WireGuardPrivateKey(bytes: Array(repeating: 9, count: 32)))
        let reply = try UAPIReply.parse(
            text(
                """
                private_key=\(digits(9))
                listen_port=51820
                fwmark=7
                public_key=\(digits(1))
                preshared_key=\(digits(0))
                protocol_version=1
                endpoint=192.0.2.1:9
                last_handshake_time_sec=1700000000
                last_handshake_time_nsec=5000000
                tx_bytes=18446744073709551615
                rx_bytes=2
                persistent_keepalive_interval=25
                allowed_ip=10.0.0.1/32
                allowed_ip=fd00::1/128
                public_key=\(digits(2))
                endpoint=[fe80::1%eth0]:9
                last_handshake_time_sec=0
                last_handshake_time_nsec=0
                errno=0
                """))
        #expect(reply.errno == 0)
        #expect(reply.state.publicKey == secret.publicKey)
        #expect(reply.state.listenPort == Port("51820"))
        #expect(
            reply.state.peers[key(1)]
                == PeerState(
                    allowedIPs: [prefix("10.0.0.1/32"), prefix("fd00::1/128")], endpoint: Endpoint("192.0.2.1:9"),
                    keepaliveSeconds: 25, lastHandshake: Timestamp(rawValue: 1_700_000_000_005), receivedBytes: 2,
                    sentBytes: .max))
        #expect(reply.state.peers[key(2)] == PeerState())
        #expect(reply.state.peers.count == 2)
    }

    @Test func `an error number is read`() throws {
        #expect(try UAPIReply.parse(text("errno=-22")) == UAPIReply(errno: -22, state: DeviceState()))
    }

    @Test(arguments: [
        ("", MalformedReply.truncated), ("errno=0", .truncated), ("errno=0\n", .truncated), ("\n", .truncated),
        ("\n\n", .badLine(number: 1)), ("listen_port=1\n\n", .truncated), ("listen_port\n\n", .badLine(number: 1)),
        ("errno=0\n\nerrno=0\n\n", .badLine(number: 2)), ("=1\nerrno=0\n\n", .badLine(number: 1)),
        ("errno=0\nerrno=0\n\n", .badValue(key: "errno")), ("errno=\n\n", .badValue(key: "errno")),
        ("errno=99999999999\n\n", .badValue(key: "errno")), ("errno=+1\n\n", .badValue(key: "errno")),
        ("errno=0\nlisten_port=1\n\n", .badValue(key: "errno")),
        ("listen_port=65536\nerrno=0\n\n", .badValue(key: "listen_port")),
        ("listen_port=-1\nerrno=0\n\n", .badValue(key: "listen_port")),
        ("private_key=00\nerrno=0\n\n", .badValue(key: "private_key")),
        ("allowed_ip=10.0.0.1/32\nerrno=0\n\n", .badValue(key: "allowed_ip")),
        ("public_key=zz\nerrno=0\n\n", .badValue(key: "public_key")),
    ])
    func `an answer that is not in the protocol is refused`(answer: String, expected: MalformedReply) {
        #expect(throws: expected) { try UAPIReply.parse(Array(answer.utf8)) }
    }

    @Test(arguments: [
        ("allowed_ip", "10.0.0.1"), ("allowed_ip", "10.0.0.1/33"), ("rx_bytes", "18446744073709551616"),
        ("tx_bytes", "-1"), ("tx_bytes", "1 "), ("last_handshake_time_sec", "-5"),
        ("last_handshake_time_sec", "9223372036854775807"), ("last_handshake_time_nsec", "1000000000"),
        ("persistent_keepalive_interval", "70000"), ("persistent_keepalive_interval", "off"), ("listen_port", "5"),
    ])
    func `a peer with a value that makes no sense is refused`(name: String, value: String) {
        #expect(throws: MalformedReply.badValue(key: name)) {
            try UAPIReply.parse(text("public_key=\(digits(1))\n\(name)=\(value)\nerrno=0"))
        }
    }

    @Test func `a peer that comes twice is refused`() {
        #expect(throws: MalformedReply.duplicate(key: "public_key")) {
            try UAPIReply.parse(text("public_key=\(digits(1))\npublic_key=\(digits(1))\nerrno=0"))
        }
    }

    @Test func `no bytes are a trap`() {
        var random = SeededRandom(seed: 7)
        let words = [
            "public_key=\(digits(1))", "allowed_ip=10.0.0.1/32", "errno=0", "rx_bytes=1", "=", "\n", "listen_port=",
        ]
        for _ in 0..<2000 {
            var answer: [UInt8] = []
            for _ in 0..<Int.random(in: 0..<12, using: &random) {
                answer += Array((words.randomElement(using: &random) ?? "").utf8)
                answer.append(Bool.random(using: &random) ? 10 : UInt8.random(in: 0...255, using: &random))
            }
            _ = try? UAPIReply.parse(answer + [10, 10])
        }
    }

    private func text(_ lines: String) -> [UInt8] { Array((lines + "\n\n").utf8) }
}
