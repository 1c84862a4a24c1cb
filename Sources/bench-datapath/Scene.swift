import Datapath
import Mesh

/// Who is there in every measurement: a node whose services the peers of `Tables.fill` call.
enum Scene {
    static let firstPeer: UInt32 = 16
    static let firstPort: UInt16 = 1000

    static func device() throws -> DeviceIdentity {
        guard let pool = AddressPool(v4Base: IPv4Address(rawValue: 10 << 24 | 64 << 16), v6Prefix: 0xfd << 56),
            let slot = Slot(rawValue: 1), let generation = Generation(rawValue: 1), let offset = MeshOffset(rawValue: 5)
        else { throw BenchError("the node of the measurement cannot be named") }
        return DeviceIdentity(kind: .node, slot: slot, generation: generation, offset: offset, pool: pool)
    }

    /// An Ethernet frame with a TCP segment: with ACK, from a peer to the node.
    static func frame(from peer: UInt32 = 0, to port: UInt16 = firstPort, payload: Int) -> [UInt8] {
        let ethernet = [UInt8](repeating: 2, count: 12) + [0x08, 0x00]
        let length = UInt16(40 + payload)
        let source = 10 << 24 | 64 << 16 | firstPeer + peer
        var ip: [UInt8] = [0x45, 0] + bytes(length) + [0, 0, 0, 0, 64, 6, 0, 0]
        ip += bytes(UInt16(source >> 16)) + bytes(UInt16(source & 0xffff)) + [10, 64, 0, 5]
        let tcp = [0x9c, 0x40] + bytes(port) + [0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0]
        return ethernet + ip + tcp + [UInt8](repeating: 0, count: payload)
    }

    private static func bytes(_ number: UInt16) -> [UInt8] { [UInt8(number >> 8), UInt8(number & 0xff)] }
}

struct BenchError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// What a measurement says in the end.
enum Outcome: Int32 {
    case reached = 0
    case missed = 1
    /// Two equal things differed by too much: on a busy machine.
    case void = 4
}
