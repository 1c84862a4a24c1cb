import Mesh
import Testing

@testable import WireGuard

/// What the kernel is told, without a kernel: a change and its report have the same shape, so one is read as the other.
@Suite struct DeviceOrderTests {
    @Test func `one peer more is one small message`() {
        let changes = DeviceChanges(
            loosening: .init(
                peers: [
                    key(1): .init(
                        isNew: true, allowedIPs: [prefix("10.0.0.1/32")], endpoint: Endpoint("192.0.2.1:51820"))
                ]))
        #expect(
            changes.orders() == [
                DeviceOrder(peers: [
                    PeerOrder(
                        key: key(1), endpoint: Endpoint("192.0.2.1:51820"), allowedIPs: [prefix("10.0.0.1/32")])
                ])
            ])
    }

    @Test func `no change is no message`() {
        #expect(DeviceChanges().orders().isEmpty)
    }

    @Test func `a peer that does not fit goes on in the next message, and replaces only once`() {
        let kept = Set((0..<100).map { prefix("10.0.0.\($0)/32") })
        let changes = DeviceChanges(tightening: .init(keptAllowedIPs: [key(1): kept]))
        let orders = changes.orders(sizeLimit: 1024)
        #expect(orders.count > 3)
        #expect(orders.first?.peers.first?.flags == [.updateOnly, .replaceAllowedIPs])
        #expect(orders.dropFirst().allSatisfy { $0.peers.first?.flags == .updateOnly })
        #expect(Set(orders.flatMap(\.peers).flatMap(\.allowedIPs)) == kept)
    }

    @Test func `removals are spread over messages`() {
        let keys = Set((0..<200).map { key(UInt8($0)) })
        let orders = DeviceChanges(tightening: .init(removedPeers: keys)).orders()
        #expect(orders.map(\.peers.count).reduce(0, +) == 200)
        #expect(orders.allSatisfy { $0.peers.count <= DeviceOrder.removalLimit })
        #expect(orders.flatMap(\.peers).allSatisfy { $0.flags.contains(.remove) })
    }

    @Test(arguments: 0..<100)
    func `all that is said arrives, in messages that fit`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let loosening = self.loosening(using: &random)
        let limit = Int.random(in: 512...8192, using: &random)
        let orders = DeviceChanges(loosening: loosening).orders(sizeLimit: limit)
        let messages = orders.flatMap { order in
            let bytes = order.request(DeviceName("wg-0123456789ab") ?? .loopback, family: 40).bytes(sequence: 7)
            #expect(bytes.count <= limit)
            #expect(order.size <= limit)
            return NetlinkMessage.parse(bytes)
        }
        #expect(messages.count == orders.count)

        let state = try DeviceState(dump: messages)
        #expect(state.listenPort == loosening.listenPort)
        #expect(orders.first?.privateKey == loosening.privateKey)
        #expect(orders.dropFirst().allSatisfy { $0.privateKey == nil && $0.listenPort == nil })
        #expect(
            state.peers
                == loosening.peers.mapValues {
                    PeerState(
                        allowedIPs: $0.allowedIPs, endpoint: $0.endpoint, keepaliveSeconds: $0.keepaliveSeconds ?? 0,
                        presharedKey: $0.presharedKey)
                })
    }

    private func loosening(using random: inout SeededRandom) -> DeviceChanges.Loosening {
        var result = DeviceChanges.Loosening(
            privateKey: Bool.random(using: &random) ? .generate() : nil,
            listenPort: Port(rawValue: UInt16.random(in: 0...3, using: &random)))
        for number in 0..<Int.random(in: 1...40, using: &random) {
            var peer = DeviceChanges.PeerAddition(isNew: Bool.random(using: &random))
            for _ in 0..<Int.random(in: 0...3, using: &random) * Int.random(in: 0...60, using: &random) {
                let bytes = (0..<(Bool.random(using: &random) ? 4 : 16)).map { _ in
                    UInt8.random(in: 0...255, using: &random)
                }
                peer.allowedIPs.insert(IPPrefix(bytes: bytes, length: Int.random(in: 0...32, using: &random))!)
            }
            peer.endpoint = ["192.0.2.1:7", "[2001:db8::1]:51820", ""].randomElement(using: &random)
                .flatMap(Endpoint.init)
            if Bool.random(using: &random) { peer.keepaliveSeconds = .random(in: 0...65535, using: &random) }
            if Bool.random(using: &random) { peer.presharedKey = .generate() }
            result.peers[key(UInt8(number))] = peer
        }
        return result
    }
}

@Suite struct DeviceDumpTests {
    @Test func `a peer that is split over two messages is one peer`() throws {
        let orders = [
            DeviceOrder(peers: [
                PeerOrder(key: key(1), allowedIPs: [prefix("10.0.0.1/32")]),
                PeerOrder(key: key(2), keepaliveSeconds: 5, allowedIPs: [prefix("10.0.0.2/32")]),
            ]),
            DeviceOrder(peers: [
                PeerOrder(key: key(2), allowedIPs: [prefix("fd00::2/128")]), PeerOrder(key: key(3)),
            ]),
        ]
        let state = try DeviceState(dump: orders.flatMap(messages))
        #expect(
            state.peers == [
                key(1): PeerState(allowedIPs: [prefix("10.0.0.1/32")]),
                key(2): PeerState(
                    allowedIPs: [prefix("10.0.0.2/32"), prefix("fd00::2/128")], keepaliveSeconds: 5),
                key(3): PeerState(),
            ])
    }

    @Test func `a peer that comes again after another is refused`() {
        let orders = [1, 2, 1].map { DeviceOrder(peers: [PeerOrder(key: key($0))]) }
        #expect(throws: MalformedReply.duplicate(key: "public_key")) {
            try DeviceState(dump: orders.flatMap(messages))
        }
    }

    @Test func `a shared key of zeros is none`() throws {
        let order = DeviceOrder(peers: [PeerOrder(key: key(1), presharedKey: PresharedKey.none)])
        #expect(try DeviceState(dump: messages(order)).peers == [key(1): PeerState()])
    }

    private func messages(_ order: DeviceOrder) -> [NetlinkMessage] {
        NetlinkMessage.parse(order.request(uniqueDevice(), family: 40).bytes(sequence: 1))
    }
}
