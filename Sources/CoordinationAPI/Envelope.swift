package import Crypto
package import Mesh

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A document and the signatures under it: what the registry keeps, and what nodes check for themselves.
///
/// The signatures are over the exact text, so nobody ever signs, or trusts, a document that was encoded again.
package struct Envelope: Codable, Hashable, Sendable {
    /// The document's JSON text.
    package let document: String
    package let signatures: [Signature]

    /// One ECDSA signature (P-256, SHA-256) and the key that made it, both in base64.
    package struct Signature: Codable, Hashable, Sendable {
        /// The public key, uncompressed (SEC 1 §2.3.3), 65 bytes.
        package let key: String
        /// r and s, 64 bytes (IEEE P1363).
        package let value: String
    }

    package static let maximumLength = PolicyDocument.maximumLength * 2
    package static let maximumSignatures = 8

    package init(document: String, signatures: [Signature]) {
        (self.document, self.signatures) = (document, signatures)
    }
}

/// Why an envelope is not believed.
package enum EnvelopeError: Error, Equatable, Sendable, CustomStringConvertible {
    case tooLarge
    case tooManySignatures
    case unsigned
    case badSignature
    case unreadable(String)
    case foreign(mesh: MeshDomain)

    package var description: String {
        switch self {
        case .tooLarge: "the document is longer than \(Envelope.maximumLength) bytes"
        case .tooManySignatures: "the document bears more than \(Envelope.maximumSignatures) signatures"
        case .unsigned: "the document bears no signature of a key that may make this change"
        case .badSignature: "a signature under the document does not fit it"
        case .unreadable(let why): "the document cannot be read: \(why)"
        case .foreign(let mesh): "the document was made for another mesh, `\(mesh)`"
        }
    }
}

extension Envelope {
    /// Encodes and signs a document.
    package init(signing document: Document, with key: P256.Signing.PrivateKey) throws(EnvelopeError) {
        do {
            let text = String(decoding: try JSON.encode(document), as: UTF8.self)
            self = try Envelope(document: text, signatures: []).signed(also: key)
        } catch { throw .unreadable("\(error)") }
    }

    /// The same document, signed by another key as well.
    package func signed(also key: P256.Signing.PrivateKey) throws(EnvelopeError) -> Envelope {
        do {
            let signature = try key.signature(for: Self.signedBytes(of: document))
            return Envelope(
                document: document,
                signatures: signatures + [
                    Signature(
                        key: encodeBase64(Array(key.publicKey.x963Representation)),
                        value: encodeBase64(Array(signature.rawRepresentation)))
                ])
        } catch { throw .unreadable("\(error)") }
    }

    /// The document, if every signature fits and one of them was made by one of `keys`.
    package func document(
        signedByOneOf keys: some Sequence<P256.Signing.PublicKey>, of mesh: MeshDomain
    ) throws(EnvelopeError) -> Document {
        guard document.utf8.count <= Self.maximumLength else { throw .tooLarge }
        guard signatures.count <= Self.maximumSignatures else { throw .tooManySignatures }
        let trusted = Set(keys.map { encodeBase64(Array($0.x963Representation)) })
        guard signatures.contains(where: { trusted.contains($0.key) }) else { throw .unsigned }
        guard signatures.allSatisfy(isValid) else { throw .badSignature }
        let content: Document
        do { content = try JSON.decode(Document.self, from: Array(document.utf8)) } catch {
            throw .unreadable(error.reason)
        }
        guard content.mesh == mesh else { throw .foreign(mesh: content.mesh) }
        return content
    }

    private func isValid(_ signature: Signature) -> Bool {
        guard let keyBytes = decodeBase64(signature.key), let value = decodeBase64(signature.value),
            let key = try? P256.Signing.PublicKey(x963Representation: keyBytes),
            let signature = try? P256.Signing.ECDSASignature(rawRepresentation: value)
        else { return false }
        return key.isValidSignature(signature, for: Self.signedBytes(of: document))
    }

    /// The prefix keeps a signature made here from being valid for anything else that the key signs, such as TLS.
    private static func signedBytes(of text: String) -> [UInt8] {
        Array("postern document v1\n".utf8) + Array(text.utf8)
    }
}

/// The SHA-256 of a public key or certificate, as tokens and logs show it: `sha256:…`.
package struct Fingerprint: Hashable, Codable, Sendable, CustomStringConvertible {
    package let description: String

    /// Of the bytes themselves.
    package init(of bytes: [UInt8]) { description = "sha256:" + hex(SHA256.hash(data: bytes)) }

    /// From a digest that was made already.
    init(digest: [UInt8]) { description = "sha256:" + hex(digest) }

    /// Of a public key in its uncompressed form.
    package init(of key: P256.Signing.PublicKey) { self.init(of: Array(key.x963Representation)) }

    package init?(_ text: String) {
        guard text.hasPrefix("sha256:"), let digest = Mesh.bytes(hex: String(text.dropFirst(7))), digest.count == 32
        else {
            return nil
        }
        description = "sha256:" + hex(digest)
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let value = Fingerprint(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "a fingerprint is `sha256:` and 64 hexadecimal digits")
        }
        self = value
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
