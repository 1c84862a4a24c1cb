import CLinux
import Foundation

/// Text messages over a SOCK_SEQPACKET socket; neither direction ever waits.
enum ControlSocket {
    enum Message: Equatable, Sendable {
        case text(String)
        case nothing
        case closed
    }

    /// Sends one message, with descriptors that stay the caller's to close; a negative result is an error number.
    static func send(_ text: String, with descriptors: [Int32] = [], to socket: Int32) -> Int32 {
        let bytes = [UInt8](text.utf8)
        return Int32(
            unsafe bytes.withUnsafeBytes {
                unsafe pt_packet_send(socket, $0.baseAddress, $0.count, descriptors, descriptors.count)
            })
    }

    /// One message; what is longer than any of ours comes as empty text, which means nothing. Descriptors that come
    /// with it are the caller's to close; without a place for them they are refused.
    static func receive(from socket: Int32) -> Message {
        var none: [Int32] = []
        return receive(from: socket, with: &none, atMost: 0)
    }

    static func receive(from socket: Int32, with descriptors: inout [Int32], atMost most: Int) -> Message {
        var bytes = [UInt8](repeating: 0, count: EnclosureCommand.maximumLength)
        descriptors = [Int32](repeating: -1, count: most)
        var came = 0
        let count = unsafe bytes.withUnsafeMutableBytes {
            unsafe pt_packet_receive(socket, $0.baseAddress, $0.count, &descriptors, most, &came)
        }
        descriptors = Array(descriptors.prefix(came))
        switch count {
        case 1...: return .text(String(decoding: bytes[..<count], as: UTF8.self))
        case -Int(EAGAIN): return .nothing
        case -Int(EMSGSIZE): return .text("")
        default: return .closed
        }
    }
}
