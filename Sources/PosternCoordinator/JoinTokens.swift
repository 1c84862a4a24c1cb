package import CoordinationAPI
import Crypto
package import Mesh

/// A join token as the registry keeps it: enough to recognise it, not to use it.
package struct JoinTokenRecord: Equatable, Sendable {
    package let node: NodeName?
    package let expires: Timestamp
    package let usedAt: Timestamp?

    package init(node: NodeName?, expires: Timestamp, usedAt: Timestamp?) {
        (self.node, self.expires, self.usedAt) = (node, expires, usedAt)
    }
}

/// The SHA-256 of a token's secret, in hexadecimal.
package struct TokenDigest: Hashable, Sendable {
    package let text: String

    init(of secret: String) { text = hex(SHA256.hash(data: Array(secret.utf8))) }
}

/// A token's secret: 256 random bits in base64url. It prints as `redacted`.
struct TokenSecret: Sendable, CustomStringConvertible, CustomReflectable {
    let text: String

    init() {
        var generator = SystemRandomNumberGenerator()
        let bytes = (0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) }
        text = encodeBase64(bytes).filter { $0 != "=" }.replacing("+", with: "-").replacing("/", with: "_")
    }

    var digest: TokenDigest { TokenDigest(of: text) }
    var description: String { "redacted" }
    var customMirror: Mirror { Mirror(self, children: []) }
}

extension JoinTokenRequest {
    /// The record to keep for this request.
    package func record(now: Timestamp) throws(Refusal) -> JoinTokenRecord {
        guard Self.lifetimeRange.contains(lifetimeSeconds) else {
            throw .invalid(
                "a join token lives \(Self.lifetimeRange.lowerBound) to \(Self.lifetimeRange.upperBound) seconds, "
                    + "not \(lifetimeSeconds)")
        }
        return JoinTokenRecord(node: node, expires: now + .seconds(lifetimeSeconds), usedAt: nil)
    }
}
