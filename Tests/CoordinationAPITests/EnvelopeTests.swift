import CoordinationAPI
import Crypto
import Mesh
import Testing

@Suite struct EnvelopeTests {
    private let trusted = [Sample.key.publicKey]

    @Test func `every statement comes back from its envelope`() throws {
        for statement in try Sample.statements() {
            let document = Sample.document(statement)
            let envelope = try Envelope(signing: document, with: Sample.key)
            #expect(try envelope.document(signedByOneOf: trusted, of: Sample.mesh) == document)
        }
    }

    @Test func `an envelope that travelled as JSON still holds`() throws {
        let envelope = try Envelope(signing: Sample.document(), with: Sample.key)
        let again = try JSON.decode(Envelope.self, from: try JSON.encode(envelope))
        #expect(again == envelope)
        #expect(try again.document(signedByOneOf: trusted, of: Sample.mesh) == Sample.document())
    }

    @Test func `a changed text is not believed`() throws {
        let envelope = try Envelope(signing: Sample.document(), with: Sample.key)
        for changed in [
            envelope.document.replacing("writer", with: "reader"), envelope.document + " ", " " + envelope.document,
            envelope.document.replacing("\"groups\":[\"finance\"]", with: "\"groups\":[\"finance\",\"root\"]"), "",
        ] {
            #expect(changed != envelope.document)
            let forged = Envelope(document: changed, signatures: envelope.signatures)
            #expect(throws: EnvelopeError.badSignature) {
                try forged.document(signedByOneOf: trusted, of: Sample.mesh)
            }
        }
    }

    @Test func `a signature of another key is no signature`() throws {
        let envelope = try Envelope(signing: Sample.document(), with: Sample.otherKey)
        #expect(throws: EnvelopeError.unsigned) { try envelope.document(signedByOneOf: trusted, of: Sample.mesh) }
        #expect(throws: EnvelopeError.unsigned) {
            try envelope.document(signedByOneOf: [P256.Signing.PublicKey](), of: Sample.mesh)
        }
    }

    @Test func `no signature is no permission`() {
        let envelope = Envelope(document: "{}", signatures: [])
        #expect(throws: EnvelopeError.unsigned) { try envelope.document(signedByOneOf: trusted, of: Sample.mesh) }
    }

    @Test func `a trusted key over another's signature is refused`() throws {
        let (mine, other) = (
            try Envelope(signing: Sample.document(), with: Sample.key),
            try Envelope(signing: Sample.document(), with: Sample.otherKey)
        )
        let text = try #require(
            String(
                decoding: try JSON.encode(other), as: UTF8.self
            ).replacing(other.signatures[0].key, with: mine.signatures[0].key) as String?)
        let forged = try JSON.decode(Envelope.self, from: Array(text.utf8))
        #expect(throws: EnvelopeError.badSignature) { try forged.document(signedByOneOf: trusted, of: Sample.mesh) }
    }

    @Test func `one bad signature spoils a good one`() throws {
        let good = try Envelope(signing: Sample.document(), with: Sample.key)
        let stray = try Envelope(signing: Sample.document(.removal(.agent(Sample.agent.name))), with: Sample.otherKey)
        let both = Envelope(document: good.document, signatures: good.signatures + stray.signatures)
        #expect(throws: EnvelopeError.badSignature) { try both.document(signedByOneOf: trusted, of: Sample.mesh) }
    }

    @Test func `a document for another mesh is foreign`() throws {
        let other = MeshDomain(unchecked: "other.internal")
        let envelope = try Envelope(signing: Sample.document(mesh: other), with: Sample.key)
        #expect(throws: EnvelopeError.foreign(mesh: other)) {
            try envelope.document(signedByOneOf: trusted, of: Sample.mesh)
        }
    }

    @Test func `a document past the limit is refused before anything else`() {
        let text = String(repeating: " ", count: Envelope.maximumLength + 1)
        #expect(throws: EnvelopeError.tooLarge) {
            try Envelope(document: text, signatures: []).document(signedByOneOf: trusted, of: Sample.mesh)
        }
    }

    @Test func `too many signatures are refused before any is checked`() throws {
        let envelope = try Envelope(signing: Sample.document(), with: Sample.key)
        let many = Array(repeating: envelope.signatures[0], count: Envelope.maximumSignatures + 1)
        #expect(throws: EnvelopeError.tooManySignatures) {
            try Envelope(document: envelope.document, signatures: many)
                .document(signedByOneOf: trusted, of: Sample.mesh)
        }
    }

    @Test func `a signature for another purpose is none here`() throws {
        let text = String(decoding: try JSON.encode(Sample.document()), as: UTF8.self)
        let bare = try Sample.key.signature(for: Array(text.utf8))
        let good = try Envelope(signing: Sample.document(), with: Sample.key)
        let json = String(decoding: try JSON.encode(good), as: UTF8.self)
            .replacing(good.signatures[0].value, with: encodeBase64(Array(bare.rawRepresentation)))
        let forged = try JSON.decode(Envelope.self, from: Array(json.utf8))
        #expect(throws: EnvelopeError.badSignature) { try forged.document(signedByOneOf: trusted, of: Sample.mesh) }
    }

    @Test func `what is signed but unreadable is refused with its reason`() throws {
        let unreadable = "{\"mesh\":\"demo.internal\",\"madeAt\":0,\"statement\":{\"agent\":{\"name\":\"../up\"}}}"
        let signed = Array(("postern document v1\n" + unreadable).utf8)
        let good = try Envelope(signing: Sample.document(), with: Sample.key)
        let value = encodeBase64(Array(try Sample.key.signature(for: signed).rawRepresentation))
        let json = String(decoding: try JSON.encode(good.signatures), as: UTF8.self)
            .replacing(good.signatures[0].value, with: value)
        let signatures = try JSON.decode([Envelope.Signature].self, from: Array(json.utf8))
        let error = #expect(throws: EnvelopeError.self) {
            try Envelope(document: unreadable, signatures: signatures)
                .document(signedByOneOf: trusted, of: Sample.mesh)
        }
        guard case .unreadable(let reason) = error else { return #expect(Bool(false), "\(String(describing: error))") }
        #expect(reason.contains("statement.agent.name") || reason.contains("../up"))
    }
}

@Suite struct FingerprintTests {
    @Test func `a fingerprint is the SHA-256 in hexadecimal`() {
        let text = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        #expect(Fingerprint(of: Array("abc".utf8)).description == text)
        #expect(Fingerprint(text)?.description == text)
        #expect(Fingerprint("sha256:" + text.dropFirst(7).uppercased()) == Fingerprint(text))
    }

    @Test(arguments: ["", "sha256:", "sha256:00", "md5:ba7816bf8f01cfea414140de5dae2223", "ba7816bf"])
    func `another text is no fingerprint`(text: String) {
        #expect(Fingerprint(text) == nil)
    }
}
