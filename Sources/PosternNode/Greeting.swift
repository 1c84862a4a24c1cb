package import Mesh

/// What a node says to another one to learn whether it answers through the mesh.
///
///     question   "postern hello?" and 16 random bytes      UDP, to port 4747 of the other node's mesh address
///     answer     "postern hello!" and the same bytes
///
/// The answer is as long as the question, so nobody gains by asking in another's name; and the kernel lets only the
/// daemons of nodes that policy connects send to that port.
package struct Greeting: Equatable, Sendable {
    package static var port: Port {
        guard let port = Port(rawValue: 4747) else { preconditionFailure("4747 is a port") }
        return port
    }

    private static let asks = Array("postern hello?".utf8)
    private static let answers = Array("postern hello!".utf8)
    private static let nonceLength = 16

    private let nonce: [UInt8]

    package static func random(using generator: inout some RandomNumberGenerator) -> Greeting {
        Greeting(nonce: (0..<nonceLength).map { _ in UInt8.random(in: 0...255, using: &generator) })
    }

    package var question: [UInt8] { Self.asks + nonce }

    package func isAnswered(by datagram: [UInt8]) -> Bool { datagram == Self.answers + nonce }

    /// What to send back for a datagram; nil when it is no greeting.
    package static func answer(to datagram: [UInt8]) -> [UInt8]? {
        guard datagram.count == asks.count + nonceLength, datagram.starts(with: asks) else { return nil }
        return answers + datagram.dropFirst(asks.count)
    }
}
