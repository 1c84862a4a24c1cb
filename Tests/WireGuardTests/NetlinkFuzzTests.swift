import Glibc
import Mesh
import Testing

@testable import WireGuard

/// Answers of the kernel, changed at random: whatever is read from them, nothing traps and nothing grows.
@Suite struct NetlinkFuzzTests {
    @Test func `a dump of Linux 6.12 is read`() throws {
        let state = try DeviceState(dump: NetlinkMessage.parse(#require(bytes(hex: recordedDump))).dropLast())
        let secret = try #require(WireGuardPrivateKey(bytes: [0] + (2...31) + [0x40]))
        #expect(
            state
                == DeviceState(
                    publicKey: secret.publicKey, listenPort: Port("51820"),
                    peers: [
                        key(1): PeerState(
                            allowedIPs: [prefix("10.0.0.1/32"), prefix("fd00::1/128")],
                            endpoint: Endpoint("192.0.2.1:7"), keepaliveSeconds: 25,
                            presharedKey: PresharedKey(bytes: Array(repeating: 0xff, count: 32))),
                        key(2): PeerState(endpoint: Endpoint("[2001:db8::1]:51820")),
                        key(3): PeerState(allowedIPs: [prefix("10.9.0.0/16")]),
                    ]))
    }

    @Test(arguments: 0..<40)
    func `no bytes of a WireGuard dump are a trap`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let dump = try #require(bytes(hex: recordedDump))
        for _ in 0..<100 {
            let changed = mutated(dump, using: &random)
            let messages = NetlinkMessage.parse(changed)
            #expect(messages.reduce(0) { $0 + $1.payload.count } <= changed.count)
            if let state = try? DeviceState(dump: messages) {
                // No prefix takes less than 16 bytes.
                #expect(state.peers.values.reduce(0) { $0 + $1.allowedIPs.count } * 16 <= changed.count)
            }
        }
    }

    @Test(arguments: [UInt16(18), 22, 26])  // RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE
    func `no bytes of a list of links, addresses or routes are a trap`(question: UInt16) throws {
        var random = SeededRandom(seed: UInt64(question))
        let answer = try self.answer(to: question)
        for _ in 0..<2000 {
            let changed = mutated(answer, using: &random)
            for message in NetlinkMessage.parse(changed) {
                #expect((Link(message)?.name.utf8.count ?? 0) <= 3 * changed.count)
                _ = LinkAddress(message)?.network
                _ = Route(message)
            }
        }
    }

    @Test func `attributes end where their bytes end`() {
        var random = SeededRandom(seed: 5)
        for _ in 0..<5000 {
            let bytes = (0..<Int.random(in: 0..<64, using: &random)).map { _ in
                UInt8.random(in: 0...20, using: &random)
            }
            let total = NetlinkAttributes(bytes[...]).reduce(0) { $0 + $1.value.count + 4 }
            #expect(total <= bytes.count)
        }
    }

    /// What this machine's kernel says of its loopback and whatever else there is.
    private func answer(to question: UInt16) throws -> [UInt8] {
        let opened = socket(AF_NETLINK, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue), 0)
        defer { close(opened) }
        let request = NetlinkRequest(Int(question), flags: 0x300)  // NLM_F_DUMP
        request.put(FamilyHeader())
        let bytes = request.bytes(sequence: 1)
        guard unsafe send(opened, bytes, bytes.count, 0) == bytes.count else { throw SocketError(errno: errno) }
        var buffer = [UInt8](repeating: 0, count: 65536)
        let count = unsafe recv(opened, &buffer, buffer.count, 0)
        return Array(buffer[..<max(0, count)])
    }
}

@Suite struct UAPIFuzzTests {
    @Test(arguments: 0..<40)
    func `no bytes of an answer of wireguard-go are a trap`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let answer = Array(recordedAnswer.utf8)
        #expect(try UAPIReply.parse(answer).state.peers.count == 2)
        for _ in 0..<100 {
            let changed = mutated(answer, using: &random)
            if let reply = try? UAPIReply.parse(changed + Array("\n\n".utf8)) {
                // No prefix takes less than `allowed_ip=::/0`.
                #expect(reply.state.peers.values.reduce(0) { $0 + $1.allowedIPs.count } * 15 <= changed.count)
            }
        }
    }
}

/// As long as `struct ifinfomsg`, and no shorter than those of addresses and routes.
private struct FamilyHeader: BitwiseCopyable {
    var (first, second) = (UInt64(0), UInt64(0))
}

/// A few bytes are changed, or a stretch is left out, doubled or cut off.
private func mutated(_ bytes: [UInt8], using random: inout SeededRandom) -> [UInt8] {
    var result = bytes
    for _ in 0..<Int.random(in: 1...8, using: &random) where !result.isEmpty {
        let place = Int.random(in: 0..<result.count, using: &random)
        let stretch = place..<min(result.count, place + Int.random(in: 1...40, using: &random))
        switch Int.random(in: 0..<6, using: &random) {
        case 0: result[place] = UInt8.random(in: 0...255, using: &random)
        case 1: result[place] = [0, 1, 4, 0x7f, 0x80, 0xff].randomElement(using: &random) ?? 0
        case 2: result[place] ^= 1 << UInt8.random(in: 0...7, using: &random)
        case 3: result.removeSubrange(stretch)
        case 4: result.insert(contentsOf: result[stretch], at: place)
        default: result.removeSubrange(place...)
        }
    }
    return result
}

/// What Linux 6.12 said of a device that `wg` had set up, with the end of the list.
private let recordedDump = """
    b402000023000200010000002701000000010000060006006cca000008000700000000000800010002000000080002007767640024000300\
    0002030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f4024000400d6577134b6c2e515e679f81657dd49e778ee8481\
    aeb6e0fa81964c679475802838020880e4000080240001000101010101010101010101010101010101010101010101010101010101010101\
    24000200ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff1400060000000000000000000000000000000000\
    06000500190000000c00080000000000000000000c000700000000000000000008000a00010000001400040002000007c000020100000000\
    00000000480009801c00008005000300200000000600010002000000080002000a000001280000800500030080000000060001000a000000\
    14000200fd000000000000000000000000000001a80000802400010002020202020202020202020202020202020202020202020202020202\
    0202020224000200000000000000000000000000000000000000000000000000000000000000000014000600000000000000000000000000\
    0000000006000500000000000c00080000000000000000000c000700000000000000000008000a0001000000200004000a00ca6c00000000\
    20010db800000000000000000000000100000000a80000802400010003030303030303030303030303030303030303030303030303030303\
    0303030324000200000000000000000000000000000000000000000000000000000000000000000014000600000000000000000000000000\
    0000000006000500000000000c00080000000000000000000c000700000000000000000008000a0001000000200009801c00008005000300\
    100000000600010002000000080002000a0900001400000003000200010000002701000000000000
    """

/// What wireguard-go 0.0.20220316 said of one.
private let recordedAnswer = """
    private_key=0809090909090909090909090909090909090909090909090909090909090949
    listen_port=51820
    public_key=0202020202020202020202020202020202020202020202020202020202020202
    preshared_key=0000000000000000000000000000000000000000000000000000000000000000
    protocol_version=1
    endpoint=[2001:db8::1]:9
    last_handshake_time_sec=0
    last_handshake_time_nsec=0
    tx_bytes=0
    rx_bytes=0
    persistent_keepalive_interval=0
    allowed_ip=10.9.0.0/16
    public_key=0101010101010101010101010101010101010101010101010101010101010101
    preshared_key=ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff
    protocol_version=1
    endpoint=192.0.2.1:7
    last_handshake_time_sec=0
    last_handshake_time_nsec=0
    tx_bytes=0
    rx_bytes=0
    persistent_keepalive_interval=25
    allowed_ip=10.0.0.1/32
    allowed_ip=fd00::1/128
    errno=0

    """ + "\n"
