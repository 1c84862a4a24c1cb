import CoordinationAPI
package import Crypto
package import Mesh

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// What the coordinator vouches for with the CA's key: a stretch of the log, from one entry to another.
///
/// A checkpoint stands in the log itself, and is about all since the last one. An export's seal stands at the head of an
/// exported file, and is about all of it: whoever cuts the file off cannot make another seal.
package struct AuditSeal: Codable, Equatable, Sendable {
    package enum Purpose: String, Codable, Sendable { case checkpoint, export }

    package let purpose: Purpose
    package let mesh: MeshDomain
    /// The first entry.
    package let first: UInt64
    /// The chain before it.
    package let previous: AuditHash
    package let last: UInt64
    /// The chain at the last entry.
    package let chain: AuditHash
    package let signedAt: Timestamp

    package init(
        _ purpose: Purpose, mesh: MeshDomain, first: UInt64, previous: AuditHash, last: UInt64, chain: AuditHash,
        signedAt: Timestamp
    ) {
        (self.purpose, self.mesh, self.first, self.previous) = (purpose, mesh, first, previous)
        (self.last, self.chain, self.signedAt) = (last, chain, signedAt)
    }

    private static let head = Array("{\"statement\":".utf8)
    private static let middle = Array(",\"signature\":\"".utf8)
    private static let end = Array("\"}".utf8)
    /// Of a P-256 signature (IEEE P1363) in base64.
    private static let signatureLength = 88

    /// `{"statement":{…},"signature":"…"}`
    package func signed(with key: P256.Signing.PrivateKey) throws(AuditError) -> [UInt8] {
        do {
            let statement = try JSON.encode(self)
            let signature = try key.signature(for: Self.signedBytes(statement))
            return Self.head + statement + Self.middle + encodeBase64(Array(signature.rawRepresentation)).utf8
                + Self.end
        } catch { throw AuditError("a seal cannot be signed: \(error)") }
    }

    /// Reads what a key signed; nil for all else, and for what is written in another way.
    package init?(_ text: [UInt8], signedBy key: P256.Signing.PublicKey) {
        let behind = Self.middle.count + Self.signatureLength + Self.end.count
        guard text.count > Self.head.count + behind, text.starts(with: Self.head) else { return nil }
        let statement = Array(text.dropFirst(Self.head.count).dropLast(behind))
        let tail = Array(text.suffix(behind))
        guard tail.starts(with: Self.middle), tail.suffix(Self.end.count) == Self.end[...] else { return nil }
        let digits = tail.dropFirst(Self.middle.count).dropLast(Self.end.count)
        guard let bytes = decodeBase64(String(decoding: digits, as: UTF8.self)),
            let signature = try? P256.Signing.ECDSASignature(rawRepresentation: bytes),
            key.isValidSignature(signature, for: Self.signedBytes(statement)),
            let seal = try? JSON.decode(AuditSeal.self, from: statement)
        else { return nil }
        self = seal
    }

    /// The prefix keeps the signature from being valid for anything else that the key signs.
    private static func signedBytes(_ statement: [UInt8]) -> [UInt8] {
        Array("postern audit seal v1\n".utf8) + statement
    }
}
