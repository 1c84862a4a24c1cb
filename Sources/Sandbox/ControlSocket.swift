import CLinux
import Foundation

/// Text messages over a SOCK_SEQPACKET socket; neither direction ever waits.
enum ControlSocket {
    enum Message: Equatable, Sendable {
        case text(String)
        case nothing
        case closed
    }

    /// Sends one message; a negative result is an error number.
    static func send(_ text: String, to descriptor: Int32) -> Int32 {
        let bytes = [UInt8](text.utf8)
        return Int32(unsafe bytes.withUnsafeBytes { unsafe pt_packet_send(descriptor, $0.baseAddress, $0.count) })
    }

    /// One message; what is longer than any of ours comes as empty text, which means nothing.
    static func receive(from descriptor: Int32) -> Message {
        var bytes = [UInt8](repeating: 0, count: EnclosureCommand.maximumLength)
        let count = Int(
            unsafe bytes.withUnsafeMutableBytes { unsafe pt_packet_receive(descriptor, $0.baseAddress, $0.count) })
        switch count {
        case 1...: return .text(String(decoding: bytes[..<count], as: UTF8.self))
        case -Int(EAGAIN): return .nothing
        case -Int(EMSGSIZE): return .text("")
        default: return .closed
        }
    }
}
